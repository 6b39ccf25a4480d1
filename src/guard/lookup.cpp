#include "guard/lookup.h"

#include <atomic>
#include <cstring>
#include <dlfcn.h>

#include "guard/settings.h"

namespace tessera::guard {
namespace {

/// A driver that finds its functions by dlsym() is given ours when the guard is preloaded.
bool is_ours(const void* function) {
  Dl_info ours{};
  Dl_info asked{};
  return dladdr(reinterpret_cast<void*>(&is_ours), &ours) != 0 && dladdr(function, &asked) != 0 &&
         ours.dli_fbase == asked.dli_fbase;
}

/// The driver may one day answer with a function that it does not export. That one is not limited.
void* exchange(const char* name, void* function) {
  void* wrapper = wrapper_of(function);
  if (wrapper != function || function == nullptr) return wrapper;
  const int symbol = name == nullptr ? -1 : symbol_named(name);
  bool exported = symbol < 0;
  for (const auto* each : real_functions) exported = exported || each == function;
  static std::atomic<bool> said = false;
  if (!exported && !is_ours(function) && !said.exchange(true))
    complain("the driver answers %s with a function it does not export; its calls are not limited",
             name);
  return function;
}

}  // namespace

cuda::Result get_proc_address(const char* name, void** function, int version, std::uint64_t flags) {
  auto* driver = next<Symbol::cuGetProcAddress>(&get_proc_address);
  const auto result = driver(name, function, version, flags);
  if (result == cuda::kSuccess && function != nullptr) *function = exchange(name, *function);
  return result;
}

cuda::Result get_proc_address_v2(const char* name, void** function, int version,
                                 std::uint64_t flags, std::int32_t* status) {
  auto* driver = next<Symbol::cuGetProcAddress_v2>(&get_proc_address_v2);
  const auto result = driver(name, function, version, flags, status);
  if (result == cuda::kSuccess && function != nullptr) *function = exchange(name, *function);
  return result;
}

}  // namespace tessera::guard
