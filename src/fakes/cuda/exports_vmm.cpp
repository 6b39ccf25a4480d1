// Memory by handles, and memory of other processes.

#include <cstring>
#include <unistd.h>

#include <sys/mman.h>

#include "fakes/cuda/library.h"

using namespace tessera::fakes::cuda;

namespace {

constexpr std::uint64_t kGranularity = 2ULL << 20;

struct Exported {
  Device device;
  std::uint64_t bytes;
};

struct IpcHandle {
  char bytes[64];
};

void let_go(AllocationHandle handle) {
  const auto found = world().pieces.find(handle);
  if (--found->second.holders > 0) return;
  if (!found->second.foreign) give(found->second.device, found->second.bytes);
  world().pieces.erase(found);
}

}  // namespace

TESSERA_CUDA_EXPORT Result cuMemCreate(AllocationHandle* handle, std::size_t size,
                                       const AllocationProperties* properties, unsigned long long) {
  const Locked locked(world().lock);
  if (handle == nullptr || properties == nullptr || size == 0 || size % kGranularity != 0)
    return kInvalidValue;
  if (const auto bad = need_device(properties->location.id); bad != kSuccess) return bad;
  if (!take(properties->location.id, size)) return kOutOfMemory;
  *handle = world().next_address += kGranularity;
  world().pieces[*handle] = {properties->location.id, size, 1, false};
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemRelease(AllocationHandle handle) {
  const Locked locked(world().lock);
  if (!world().pieces.contains(handle)) return kInvalidValue;
  let_go(handle);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemAddressReserve(DevicePtr* pointer, std::size_t size, std::size_t,
                                               DevicePtr, unsigned long long) {
  const Locked locked(world().lock);
  if (size == 0 || size % kGranularity != 0) return kInvalidValue;
  *pointer = world().next_address += kGranularity;
  world().next_address += size;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemAddressFree(DevicePtr, std::size_t) {
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemMap(DevicePtr pointer, std::size_t size, std::size_t offset,
                                    AllocationHandle handle, unsigned long long) {
  const Locked locked(world().lock);
  const auto found = world().pieces.find(handle);
  if (found == world().pieces.end() || offset != 0 || size != found->second.bytes ||
      world().mapped.contains(pointer))
    return kInvalidValue;
  ++found->second.holders;
  world().mapped[pointer] = {size, handle};
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemUnmap(DevicePtr pointer, std::size_t size) {
  const Locked locked(world().lock);
  auto& mapped = world().mapped;
  const auto begin = mapped.lower_bound(pointer);
  auto end = begin;
  std::uint64_t covered = 0;
  for (; end != mapped.end() && end->first < pointer + size; ++end) covered += end->second.first;
  if (covered != size) return kInvalidValue;
  for (auto each = begin; each != end; ++each) let_go(each->second.second);
  mapped.erase(begin, end);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemSetAccess(DevicePtr, std::size_t, const void*, std::size_t) {
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemRetainAllocationHandle(AllocationHandle* handle, void* address) {
  const Locked locked(world().lock);
  const auto found = world().mapped.find(reinterpret_cast<DevicePtr>(address));
  if (found == world().mapped.end()) return kInvalidValue;
  *handle = found->second.second;
  ++world().pieces.at(*handle).holders;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemGetAllocationPropertiesFromHandle(AllocationProperties* properties,
                                                                  AllocationHandle handle) {
  const Locked locked(world().lock);
  const auto found = world().pieces.find(handle);
  if (found == world().pieces.end()) return kInvalidValue;
  *properties = {};
  properties->type = 1;
  properties->location = {kLocationDevice, found->second.device};
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemExportToShareableHandle(void* to, AllocationHandle handle,
                                                        std::int32_t, unsigned long long) {
  const Locked locked(world().lock);
  const auto found = world().pieces.find(handle);
  if (found == world().pieces.end()) return kInvalidValue;
  const Exported exported{found->second.device, found->second.bytes};
  const int file = memfd_create("cuda-memory", MFD_CLOEXEC);
  if (file < 0 || write(file, &exported, sizeof(exported)) != sizeof(exported)) return kOutOfMemory;
  std::memcpy(to, &file, sizeof(file));
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemImportFromShareableHandle(AllocationHandle* handle, void* from,
                                                          std::int32_t) {
  const Locked locked(world().lock);
  Exported exported{};
  const int file = static_cast<int>(reinterpret_cast<std::intptr_t>(from));
  if (pread(file, &exported, sizeof(exported), 0) != sizeof(exported)) return kInvalidValue;
  *handle = world().next_address += kGranularity;
  world().pieces[*handle] = {exported.device, exported.bytes, 1, true};
  return kSuccess;
}

TESSERA_CUDA_EXPORT Result cuIpcGetMemHandle(IpcHandle* handle, DevicePtr pointer) {
  const Locked locked(world().lock);
  if (handle == nullptr || !world().blocks.contains(pointer)) return kInvalidValue;
  *handle = {};
  std::memcpy(handle->bytes, &pointer, sizeof(pointer));
  return kSuccess;
}
/// The memory stays its exporter's; here it only gets an address.
TESSERA_CUDA_EXPORT Result cuIpcOpenMemHandle_v2(DevicePtr* pointer, IpcHandle, unsigned) {
  const Locked locked(world().lock);
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  *pointer = world().next_address += kGranularity;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuIpcCloseMemHandle(DevicePtr) {
  return kSuccess;
}
