// The library, devices and contexts.

#include <cstdio>
#include <cstdlib>
#include <new>
#include <pthread.h>

#include "fakes/cuda/library.h"

using namespace tessera::fakes;
using namespace tessera::fakes::cuda;

namespace {

/// What a forked child inherits is its parent's: it starts without a driver.
void begin_child() {
  new (&world()) World;  // what was there may be half changed: it is left alone
  current() = nullptr;
}

Result make_context(Handle* context, Device device) {
  const Locked locked(world().lock);
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  if (context == nullptr) return kInvalidValue;
  if (!take(device, kContextBytes)) return kOutOfMemory;
  auto* made = new Context{device, false, 0};
  *context = add_to(world().contexts, made);
  current() = made;
  return kSuccess;
}

Result end_context(Context* context) {
  free_all_of(context);
  give(context->device, kContextBytes);
  if (current() == context) current() = nullptr;
  return kSuccess;
}

Result drop_primary(Device device, bool reset) {
  const Locked locked(world().lock);
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  auto* context = world().primary[device];
  if (context == nullptr || context->retained == 0) return reset ? kSuccess : kInvalidContext;
  if (!reset && --context->retained > 0) return kSuccess;
  context->retained = 0;
  return end_context(context);
}

Result destroy_context(Handle handle) {
  const Locked locked(world().lock);
  auto* context = find_in(world().contexts, handle);
  if (context == nullptr || context->primary) return kInvalidContext;
  end_context(context);
  erase_from(world().contexts, context);
  return kSuccess;
}

Result pop_context(Handle* context) {
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  if (context != nullptr) *context = current();
  current() = nullptr;
  return kSuccess;
}
Result set_context(Handle handle) {
  const Locked locked(world().lock);
  auto* context = handle == nullptr ? nullptr : find_in(world().contexts, handle);
  if (handle != nullptr && context == nullptr) return kInvalidContext;
  current() = context;
  return kSuccess;
}

Result device_uuid(Uuid* uuid, Device device) {
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  const char* text = world().area->uuid[device] + 4;  // "GPU-"
  for (auto& byte : uuid->bytes) {
    if (*text == '-') ++text;
    unsigned value = 0;
    std::sscanf(text, "%2x", &value);
    byte = static_cast<unsigned char>(value);
    text += 2;
  }
  return kSuccess;
}
template <class Size>
Result total_memory(Size* bytes, Device device) {
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  if (bytes == nullptr) return kInvalidValue;
  *bytes = static_cast<Size>(world().area->memory[device]);
  return kSuccess;
}

}  // namespace

TESSERA_CUDA_EXPORT Result cuInit(unsigned flags) {
  auto& all = world();
  const Locked locked(all.lock);
  if (flags != 0) return kInvalidValue;
  if (all.row >= 0) return kSuccess;
  const char* path = std::getenv("TESSERA_FAKE_GPUS");
  if (all.area == nullptr) all.area = path == nullptr ? nullptr : map_cuda_area(path);
  if (all.area == nullptr || all.area->gpus == 0) return kNoDevice;
  static const int watching = pthread_atfork(nullptr, nullptr, begin_child);
  all.row = watching == 0 ? claim_row(*all.area) : -1;
  return all.row < 0 ? kOutOfMemory : kSuccess;
}
TESSERA_CUDA_EXPORT Result cuDriverGetVersion(int* version) {
  if (version == nullptr) return kInvalidValue;
  *version = 13000;
  return kSuccess;
}

TESSERA_CUDA_EXPORT Result cuDeviceGetCount(int* count) {
  if (world().row < 0) return kNotInitialized;
  *count = static_cast<int>(world().area->gpus);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuDeviceGet(Device* device, int ordinal) {
  if (const auto bad = need_device(ordinal); bad != kSuccess) return bad;
  *device = ordinal;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuDeviceGetName(char* name, int length, Device device) {
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  std::snprintf(name, static_cast<std::size_t>(length), "%s", world().area->name[device]);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuDeviceGetUuid(Uuid* uuid, Device device) {
  return device_uuid(uuid, device);
}
TESSERA_CUDA_EXPORT Result cuDeviceGetUuid_v2(Uuid* uuid, Device device) {
  return device_uuid(uuid, device);
}
TESSERA_CUDA_EXPORT Result cuDeviceTotalMem(std::uint32_t* bytes, Device device) {
  return total_memory(bytes, device);
}
TESSERA_CUDA_EXPORT Result cuDeviceTotalMem_v2(std::size_t* bytes, Device device) {
  return total_memory(bytes, device);
}

TESSERA_CUDA_EXPORT Result cuDevicePrimaryCtxRetain(Handle* context, Device device) {
  const Locked locked(world().lock);
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  auto*& primary = world().primary[device];
  if (primary == nullptr) {
    primary = new Context{device, true, 0};
    world().contexts[primary] = primary;
  }
  if (primary->retained == 0 && !take(device, kContextBytes)) return kOutOfMemory;
  ++primary->retained;
  *context = primary;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuDevicePrimaryCtxRelease(Device device) {
  return drop_primary(device, false);
}
TESSERA_CUDA_EXPORT Result cuDevicePrimaryCtxRelease_v2(Device device) {
  return drop_primary(device, false);
}
TESSERA_CUDA_EXPORT Result cuDevicePrimaryCtxReset(Device device) {
  return drop_primary(device, true);
}
TESSERA_CUDA_EXPORT Result cuDevicePrimaryCtxReset_v2(Device device) {
  return drop_primary(device, true);
}
TESSERA_CUDA_EXPORT Result cuDevicePrimaryCtxGetState(Device device, unsigned* flags, int* active) {
  const Locked locked(world().lock);
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  const auto* primary = world().primary[device];
  *flags = 0;
  *active = primary != nullptr && primary->retained > 0;
  return kSuccess;
}

TESSERA_CUDA_EXPORT Result cuCtxCreate_v2(Handle* context, unsigned, Device device) {
  return make_context(context, device);
}
TESSERA_CUDA_EXPORT Result cuCtxCreate_v3(Handle* context, void*, int, unsigned, Device device) {
  return make_context(context, device);
}
TESSERA_CUDA_EXPORT Result cuCtxCreate_v4(Handle* context, void*, unsigned, Device device) {
  return make_context(context, device);
}
TESSERA_CUDA_EXPORT Result cuCtxDestroy(Handle context) {
  return destroy_context(context);
}
TESSERA_CUDA_EXPORT Result cuCtxDestroy_v2(Handle context) {
  return destroy_context(context);
}
TESSERA_CUDA_EXPORT Result cuCtxGetCurrent(Handle* context) {
  if (world().row < 0) return kNotInitialized;
  *context = current();
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuCtxSetCurrent(Handle context) {
  return set_context(context);
}
TESSERA_CUDA_EXPORT Result cuCtxPushCurrent_v2(Handle context) {
  return context == nullptr ? kInvalidContext : set_context(context);
}
TESSERA_CUDA_EXPORT Result cuCtxPopCurrent_v2(Handle* context) {
  return pop_context(context);
}
TESSERA_CUDA_EXPORT Result cuCtxGetDevice(Device* device) {
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  *device = current()->device;
  return kSuccess;
}
