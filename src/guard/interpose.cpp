// What the guard does as a preloaded library: programs that open the driver or NVML themselves, or
// ask the loader for a function, get ours.

#include <cstring>
#include <dlfcn.h>

#include "guard/memory.h"
#include "guard/wrappers_info.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))
#define FOR_ASSEMBLY extern "C" __attribute__((visibility("hidden")))

namespace tessera::guard {
namespace {

struct NvmlMemory {
  std::uint64_t total, free, used;
};
struct NvmlMemoryV2 {
  std::uint32_t version;
  std::uint64_t total, reserved, free, used;
};
constexpr int kNvmlUnknown = 999;

void* nvml_function(const char* name) {
  void* library = next_dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_NOLOAD);
  return library == nullptr ? nullptr : next_dlsym(library, name);
}

/// The account of the GPU that NVML calls so; false where this process has none.
bool place_of_nvml(void* device, Place& place) {
  char text[96];
  cuda::Uuid uuid{};
  auto* get = reinterpret_cast<int (*)(void*, char*, unsigned)>(nvml_function("nvmlDeviceGetUUID"));
  start_driver();
  place.ledger = ledger();
  if (place.ledger == nullptr || place.ledger->limits() == nullptr || get == nullptr ||
      get(device, text, sizeof(text)) != 0 || !parse_uuid(text, uuid))
    return false;
  place.slot = place.ledger->slot_of(key_of_uuid(uuid));
  return place.slot < kMostGpus;
}

template <class Memory>
int nvml_memory(const char* name, void* device, Memory* memory) {
  auto* get = reinterpret_cast<int (*)(void*, Memory*)>(nvml_function(name));
  if (get == nullptr) return kNvmlUnknown;
  const int result = get(device, memory);
  Place place;
  if (result != 0 || !place_of_nvml(device, place)) return result;
  show_limit(place, memory->free, memory->total);
  memory->used = memory->total - memory->free;
  return result;
}

bool is_driver_name(const char* name) {
  const char* base = std::strrchr(name, '/');
  base = base == nullptr ? name : base + 1;
  return std::strcmp(base, "libcuda.so.1") == 0 || std::strcmp(base, "libcuda.so") == 0;
}

}  // namespace
}  // namespace tessera::guard

using namespace tessera::guard;

EXPORTED int nvmlDeviceGetMemoryInfo(void* device, void* memory) {
  return nvml_memory("nvmlDeviceGetMemoryInfo", device, static_cast<NvmlMemory*>(memory));
}
EXPORTED int nvmlDeviceGetMemoryInfo_v2(void* device, void* memory) {
  return nvml_memory("nvmlDeviceGetMemoryInfo_v2", device, static_cast<NvmlMemoryV2*>(memory));
}

// nullptr: go on to the loader's own, with the program's return address.
FOR_ASSEMBLY void* tessera_guard_dlopen(const char* name, int) {
  Dl_info ours{};
  if (name == nullptr || !is_driver_name(name) ||
      dladdr(reinterpret_cast<void*>(&is_driver_name), &ours) == 0) {
    next_dlsym(nullptr, "dlopen");  // makes sure that the loader's own have been found
    return nullptr;
  }
  return next_dlopen(ours.dli_fname, RTLD_NOW | RTLD_NOLOAD);
}

FOR_ASSEMBLY void* tessera_guard_dlsym(void* handle, const char* name) {
  // Asked without a library to look in, the loader finds us by itself where it should.
  const bool asks_library = handle != RTLD_NEXT && handle != RTLD_DEFAULT;
  void* found = asks_library && name != nullptr ? next_dlsym(handle, name) : nullptr;
  if (found == nullptr) {
    next_dlsym(handle, "dlsym");
    return nullptr;
  }
  if (std::strncmp(name, "cu", 2) == 0 && is_in_driver(found)) {
    const int symbol = symbol_named(name);
    return symbol < 0 ? nullptr : own_export(static_cast<unsigned>(symbol));
  }
  if (std::strcmp(name, "nvmlDeviceGetMemoryInfo") == 0)
    return reinterpret_cast<void*>(&nvmlDeviceGetMemoryInfo);
  if (std::strcmp(name, "nvmlDeviceGetMemoryInfo_v2") == 0)
    return reinterpret_cast<void*>(&nvmlDeviceGetMemoryInfo_v2);
  return nullptr;
}
