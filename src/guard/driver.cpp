#include "guard/driver.h"

#include <cstring>
#include <dlfcn.h>
#include <pthread.h>

#include "guard/attach.h"
#include "guard/settings.h"

extern "C" {
// entries.S: where each export jumps to.
__attribute__((visibility("hidden"))) extern void* tessera_guard_jumps[];
// first_call_x86_64.S jumps through these.
__attribute__((visibility("hidden"))) void* tessera_guard_next_dlopen = nullptr;
__attribute__((visibility("hidden"))) void* tessera_guard_next_dlsym = nullptr;
__attribute__((visibility("hidden"))) void* tessera_guard_resolve(std::uint64_t symbol);
}

namespace tessera::guard {

void* real_functions[kSymbols];

namespace {

constexpr const char* kNames[kSymbols] = {
#define SYMBOL(name) #name,
#include "guard/symbols.inc"
#undef SYMBOL
};

pthread_once_t started = PTHREAD_ONCE_INIT;
pthread_once_t loader_found = PTHREAD_ONCE_INIT;
const void* driver_base = nullptr;

// What is answered in the driver's place. They take no arguments: the caller clears its own.
cuda::Result no_driver() {
  return cuda::kNoDevice;
}
cuda::Result refused() {
  return cuda::kSystemNotReady;
}
cuda::Result not_found() {
  return cuda::kNotFound;
}

void jump_to(unsigned symbol, void* target) {
  __atomic_store_n(&tessera_guard_jumps[symbol], target, __ATOMIC_RELEASE);
}
template <class Function>
void answer_all(Function* function) {
  for (unsigned i = 0; i < kSymbols; ++i) jump_to(i, reinterpret_cast<void*>(function));
}

/// dlsym by way of a version that every C library of this machine type has.
void find_loader() {
  void* found = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
  if (found == nullptr) found = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
  tessera_guard_next_dlsym = found;
  tessera_guard_next_dlopen = next_dlsym(RTLD_NEXT, "dlopen");
}

bool open_driver(const char* path) {
  void* handle = next_dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    complain("cannot open the CUDA driver %s (%s); name it in TESSERA_GUARD_CUDA", path, dlerror());
    return false;
  }
  for (unsigned i = 0; i < kSymbols; ++i) real_functions[i] = next_dlsym(handle, kNames[i]);
  auto* init = real_functions[static_cast<unsigned>(Symbol::cuInit)];
  Dl_info ours{};
  Dl_info theirs{};
  if (init == nullptr || dladdr(init, &theirs) == 0) {
    complain("%s is no CUDA driver: it has no cuInit", path);
    return false;
  }
  if (dladdr(reinterpret_cast<void*>(&start_driver), &ours) != 0 &&
      ours.dli_fbase == theirs.dli_fbase) {
    complain("%s is the guard itself; name the real driver in TESSERA_GUARD_CUDA", path);
    return false;
  }
  driver_base = theirs.dli_fbase;
  return true;
}

void start() {
  const auto settings = read_settings();
  if (!open_driver(settings.driver)) {
    std::memset(real_functions, 0, sizeof(real_functions));
    return answer_all(no_driver);
  }
  if (settings.wrong != nullptr) {
    complain("%s cannot be understood; nothing is allowed until it is put right", settings.wrong);
    return answer_all(refused);
  }
  if (settings.limits_anything && !attach(settings)) return answer_all(refused);
  void* targets[kSymbols];
  for (unsigned i = 0; i < kSymbols; ++i)
    targets[i] =
        real_functions[i] != nullptr ? real_functions[i] : reinterpret_cast<void*>(&not_found);
  for (unsigned i = 0; i < kHookCount && settings.limits_anything; ++i) {
    const auto symbol = static_cast<unsigned>(kHooks[i].symbol);
    if (real_functions[symbol] != nullptr) targets[symbol] = kHooks[i].wrapper;
  }
  for (unsigned i = 0; i < kSymbols; ++i) jump_to(i, targets[i]);
}

}  // namespace

void* wrapper_of(void* real_function) {
  if (real_function == nullptr) return nullptr;
  for (unsigned i = 0; i < kHookCount; ++i)
    if (real_functions[static_cast<unsigned>(kHooks[i].symbol)] == real_function)
      return kHooks[i].wrapper;
  return real_function;
}

int symbol_named(const char* name) {
  unsigned low = 0;
  unsigned high = kSymbols;  // the list is sorted
  while (low < high) {
    const unsigned middle = (low + high) / 2;
    const int order = std::strcmp(kNames[middle], name);
    if (order == 0) return static_cast<int>(middle);
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return -1;
}

void* own_export(unsigned symbol) {
  Dl_info ours{};
  if (dladdr(reinterpret_cast<void*>(&start_driver), &ours) == 0) return nullptr;
  void* self = next_dlopen(ours.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  return self == nullptr ? nullptr : next_dlsym(self, kNames[symbol]);
}

bool is_in_driver(const void* address) {
  Dl_info info{};
  return driver_base != nullptr && dladdr(address, &info) != 0 && info.dli_fbase == driver_base;
}

void start_driver() {
  pthread_once(&started, start);
}

void* next_dlopen(const char* name, int flags) {
  pthread_once(&loader_found, find_loader);
  using Open = void*(const char*, int);
  return tessera_guard_next_dlopen == nullptr
             ? nullptr
             : reinterpret_cast<Open*>(tessera_guard_next_dlopen)(name, flags);
}

void* next_dlsym(void* handle, const char* name) {
  if (tessera_guard_next_dlsym == nullptr) pthread_once(&loader_found, find_loader);
  using Find = void*(void*, const char*);
  return tessera_guard_next_dlsym == nullptr
             ? nullptr
             : reinterpret_cast<Find*>(tessera_guard_next_dlsym)(handle, name);
}

}  // namespace tessera::guard

void* tessera_guard_resolve(std::uint64_t symbol) {
  tessera::guard::start_driver();
  return __atomic_load_n(&tessera_guard_jumps[symbol], __ATOMIC_ACQUIRE);
}
