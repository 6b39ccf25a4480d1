// Linear memory, arrays, stream-ordered memory, and what is asked about them.

#include <algorithm>
#include <utility>

#include "fakes/cuda/library.h"

using namespace tessera::fakes;
using namespace tessera::fakes::cuda;

namespace {

template <class Pointer>
Result allocate(Pointer* pointer, std::uint64_t bytes) {
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  if (pointer == nullptr || bytes == 0) return kInvalidValue;
  if (bytes > 1ULL << 48) return kOutOfMemory;
  const auto size = round_up(bytes, kPiece);
  if (!take(current()->device, size)) return kOutOfMemory;
  const Locked locked(world().lock);
  auto& next = world().next_address;
  // The oldest form of the call has addresses of 32 bits.
  const auto address = sizeof(Pointer) == 4 ? (next & 0x7FFF'FFFF) | kPiece : next;
  next += round_up(size, kPiece);
  world().blocks[address] = {size, current(), nullptr};
  *pointer = static_cast<Pointer>(address);
  return kSuccess;
}

void shrink(Pool& pool) {
  const auto keep =
      std::max(round_up(pool.used, kPoolPiece), std::min(pool.threshold, pool.reserved));
  if (pool.device < 0 || pool.reserved <= keep) return;
  give(pool.device, pool.reserved - keep);
  pool.reserved = keep;
}

/// What has been given back stays with the pool until the program waits, or trims.
Result free_block(DevicePtr pointer) {
  if (pointer == 0) return kSuccess;
  const Locked locked(world().lock);
  const auto found = world().blocks.find(pointer);
  if (found == world().blocks.end()) return kInvalidValue;
  const auto block = found->second;
  world().blocks.erase(found);
  if (block.pool == nullptr) {
    give(block.context->device, block.bytes);
    return kSuccess;
  }
  block.pool->used -= block.bytes;
  if (block.pool->destroyed && block.pool->used == 0) {
    block.pool->threshold = 0;
    shrink(*block.pool);
    erase_from(world().pools, block.pool);
  }
  return kSuccess;
}

template <class Pointer, class Size>
Result allocate_pitched(Pointer* pointer, Size* pitch, Size width, Size height, unsigned element) {
  if (pitch == nullptr || (element != 4 && element != 8 && element != 16)) return kInvalidValue;
  *pitch = static_cast<Size>(round_up(width, kPiece));
  return allocate(pointer, std::uint64_t{*pitch} * height);
}

Pool* default_pool(Device device) {
  auto*& pool = world().default_pool[device];
  if (pool == nullptr) add_to(world().pools, pool = new Pool{device, 0, 0, 0, false});
  return pool;
}
Pool* current_pool(Device device) {
  auto* pool = world().current_pool[device];
  return pool == nullptr ? default_pool(device) : pool;
}

Result allocate_from(DevicePtr* pointer, std::size_t size, Handle pool_handle,
                     Handle stream_handle) {
  const Locked locked(world().lock);
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  auto* stream = find_stream(stream_handle);
  auto* pool = pool_handle == nullptr ? current_pool(current()->device)
                                      : find_in(world().pools, pool_handle);
  if (pointer == nullptr || size == 0 || stream == nullptr || pool == nullptr || pool->destroyed)
    return kInvalidValue;
  *pointer = world().next_address;
  world().next_address += round_up(size, kPiece);
  if (stream->captured != nullptr) {
    Node node{kMemAllocNode, 0, {}, nullptr};
    node.memory.bytes = size;
    node.memory.pointer = *pointer;
    stream->captured->nodes.push_back(new Node(node));
    return kSuccess;
  }
  const auto bytes = round_up(size, kPiece);
  if (pool->used + bytes > pool->reserved) {
    const auto growth = round_up(pool->used + bytes - pool->reserved, kPoolPiece);
    if (pool->device >= 0 && !take(pool->device, growth)) return kOutOfMemory;
    pool->reserved += growth;
  }
  pool->used += bytes;
  world().blocks[*pointer] = {bytes, current(), pool};
  return kSuccess;
}

template <class Size>
Result memory_info(Size* free, Size* total) {
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  const auto gpu = static_cast<unsigned>(current()->device);
  auto& area = *world().area;
  std::uint64_t used = 0;
  for (unsigned i = 0; i < area.rows_used; ++i) used += area.processes[i].used[gpu];
  *free = static_cast<Size>(area.memory[gpu] - std::min(used, area.memory[gpu]));
  *total = static_cast<Size>(area.memory[gpu]);
  return kSuccess;
}

std::uint64_t array_bytes(const Array3dDescriptor& array, unsigned levels) {
  std::uint64_t bytes = 0;
  auto width = array.width;
  auto height = std::max<std::size_t>(array.height, 1);
  auto depth = std::max<std::size_t>(array.depth, 1);
  for (unsigned level = 0; level < levels; ++level) {
    bytes += width * height * depth * bytes_of_format(array.format) * array.channels;
    width = std::max<std::size_t>(width / 2, 1);
    height = std::max<std::size_t>(height / 2, 1);
    depth = std::max<std::size_t>(depth / 2, 1);
  }
  return round_up(bytes, kArrayPiece);
}

Result make_array(Handle* handle, const Array3dDescriptor& description, unsigned levels) {
  const Locked locked(world().lock);
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  if (bytes_of_format(description.format) == 0 || description.width == 0) return kInvalidValue;
  const auto bytes = array_bytes(description, levels);
  const bool deferred = (description.flags & (kArrayDeferredMapping | kArraySparse)) != 0;
  if (!deferred && !take(current()->device, bytes)) return kOutOfMemory;
  *handle = add_to(world().arrays, new Array{bytes, current(), deferred});
  return kSuccess;
}
Result end_array(Handle handle) {
  const Locked locked(world().lock);
  auto* array = find_in(world().arrays, handle);
  if (array == nullptr) return kInvalidHandle;
  if (!array->deferred) give(array->context->device, array->bytes);
  erase_from(world().arrays, array);
  return kSuccess;
}
Result array_memory(ArrayMemory* memory, Handle handle) {
  const Locked locked(world().lock);
  const auto* array = find_in(world().arrays, handle);
  if (array == nullptr || !array->deferred) return kInvalidValue;
  *memory = {array->bytes, kArrayPiece, {}};
  return kSuccess;
}

}  // namespace

TESSERA_CUDA_EXPORT Result cuMemAlloc(DevicePtrV1* pointer, std::uint32_t size) {
  return allocate(pointer, size);
}
TESSERA_CUDA_EXPORT Result cuMemAlloc_v2(DevicePtr* pointer, std::size_t size) {
  return allocate(pointer, size);
}
TESSERA_CUDA_EXPORT Result cuMemAllocManaged(DevicePtr* pointer, std::size_t size, unsigned) {
  return allocate(pointer, size);
}
TESSERA_CUDA_EXPORT Result cuMemAllocPitch(DevicePtrV1* pointer, std::uint32_t* pitch,
                                           std::uint32_t width, std::uint32_t height,
                                           unsigned element) {
  return allocate_pitched(pointer, pitch, width, height, element);
}
TESSERA_CUDA_EXPORT Result cuMemAllocPitch_v2(DevicePtr* pointer, std::size_t* pitch,
                                              std::size_t width, std::size_t height,
                                              unsigned element) {
  return allocate_pitched(pointer, pitch, width, height, element);
}
TESSERA_CUDA_EXPORT Result cuMemFree(DevicePtrV1 pointer) {
  return free_block(pointer);
}
TESSERA_CUDA_EXPORT Result cuMemFree_v2(DevicePtr pointer) {
  return free_block(pointer);
}
TESSERA_CUDA_EXPORT Result cuMemGetInfo(std::uint32_t* free, std::uint32_t* total) {
  return memory_info(free, total);
}
TESSERA_CUDA_EXPORT Result cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  return memory_info(free, total);
}

TESSERA_CUDA_EXPORT Result cuArrayCreate(Handle* array, const ArrayDescriptorV1* of) {
  return make_array(array, {of->width, of->height, 0, of->format, of->channels, 0}, 1);
}
TESSERA_CUDA_EXPORT Result cuArrayCreate_v2(Handle* array, const ArrayDescriptor* of) {
  return make_array(array, {of->width, of->height, 0, of->format, of->channels, 0}, 1);
}
TESSERA_CUDA_EXPORT Result cuArray3DCreate(Handle* array, const Array3dDescriptorV1* of) {
  return make_array(array, {of->width, of->height, of->depth, of->format, of->channels, of->flags},
                    1);
}
TESSERA_CUDA_EXPORT Result cuArray3DCreate_v2(Handle* array, const Array3dDescriptor* of) {
  return make_array(array, *of, 1);
}
TESSERA_CUDA_EXPORT Result cuArrayDestroy(Handle array) {
  return end_array(array);
}
TESSERA_CUDA_EXPORT Result cuArrayGetMemoryRequirements(ArrayMemory* memory, Handle array, Device) {
  return array_memory(memory, array);
}
TESSERA_CUDA_EXPORT Result cuMipmappedArrayCreate(Handle* array, const Array3dDescriptor* of,
                                                  unsigned levels) {
  return make_array(array, *of, levels);
}
TESSERA_CUDA_EXPORT Result cuMipmappedArrayDestroy(Handle array) {
  return end_array(array);
}
TESSERA_CUDA_EXPORT Result cuMipmappedArrayGetMemoryRequirements(ArrayMemory* memory, Handle array,
                                                                 Device) {
  return array_memory(memory, array);
}

TESSERA_CUDA_EXPORT Result cuMemAllocAsync(DevicePtr* pointer, std::size_t size, Handle stream) {
  return allocate_from(pointer, size, nullptr, stream);
}
TESSERA_CUDA_EXPORT Result cuMemAllocAsync_ptsz(DevicePtr* pointer, std::size_t size,
                                                Handle stream) {
  return allocate_from(pointer, size, nullptr, stream);
}
TESSERA_CUDA_EXPORT Result cuMemAllocFromPoolAsync(DevicePtr* pointer, std::size_t size,
                                                   Handle pool, Handle stream) {
  return pool == nullptr ? kInvalidValue : allocate_from(pointer, size, pool, stream);
}
TESSERA_CUDA_EXPORT Result cuMemAllocFromPoolAsync_ptsz(DevicePtr* pointer, std::size_t size,
                                                        Handle pool, Handle stream) {
  return pool == nullptr ? kInvalidValue : allocate_from(pointer, size, pool, stream);
}
TESSERA_CUDA_EXPORT Result cuMemFreeAsync(DevicePtr pointer, Handle) {
  return free_block(pointer);
}
TESSERA_CUDA_EXPORT Result cuMemFreeAsync_ptsz(DevicePtr pointer, Handle) {
  return free_block(pointer);
}
TESSERA_CUDA_EXPORT Result cuMemPoolCreate(Handle* pool, const PoolProperties* properties) {
  const Locked locked(world().lock);
  if (pool == nullptr || properties == nullptr) return kInvalidValue;
  const bool on_device = properties->location.type == kLocationDevice;
  *pool = add_to(world().pools, new Pool{on_device ? properties->location.id : -1, 0, 0, 0, false});
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemPoolDestroy(Handle handle) {
  const Locked locked(world().lock);
  auto* pool = find_in(world().pools, handle);
  if (pool == nullptr || pool->destroyed) return kInvalidValue;
  for (auto& [device, chosen] : world().current_pool)
    if (chosen == pool) chosen = nullptr;
  pool->destroyed = true;
  pool->threshold = 0;
  shrink(*pool);
  if (pool->used == 0) erase_from(world().pools, pool);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemPoolTrimTo(Handle handle, std::size_t keep) {
  const Locked locked(world().lock);
  auto* pool = find_in(world().pools, handle);
  if (pool == nullptr) return kInvalidValue;
  const auto threshold = std::exchange(pool->threshold, keep);
  shrink(*pool);
  pool->threshold = threshold;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemPoolGetAttribute(Handle handle, std::int32_t attribute,
                                                 void* value) {
  const Locked locked(world().lock);
  const auto* pool = find_in(world().pools, handle);
  if (pool == nullptr || value == nullptr) return kInvalidValue;
  auto& number = *static_cast<std::uint64_t*>(value);
  if (attribute == kReleaseThreshold) number = pool->threshold;
  if (attribute == kReservedNow) number = pool->reserved;
  if (attribute == kUsedNow) number = pool->used;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuMemPoolSetAttribute(Handle handle, std::int32_t attribute,
                                                 void* value) {
  const Locked locked(world().lock);
  auto* pool = find_in(world().pools, handle);
  if (pool == nullptr || value == nullptr) return kInvalidValue;
  if (attribute == kReleaseThreshold) pool->threshold = *static_cast<std::uint64_t*>(value);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuDeviceGetDefaultMemPool(Handle* pool, Device device) {
  const Locked locked(world().lock);
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  *pool = default_pool(device);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuDeviceGetMemPool(Handle* pool, Device device) {
  const Locked locked(world().lock);
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  *pool = current_pool(device);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuDeviceSetMemPool(Device device, Handle handle) {
  const Locked locked(world().lock);
  auto* pool = find_in(world().pools, handle);
  if (pool == nullptr || pool->device != device) return kInvalidValue;
  world().current_pool[device] = pool;
  return kSuccess;
}

namespace tessera::fakes::cuda {
// Waiting lets pools give back what they need not keep.
void shrink_pools() {
  for (auto& [handle, pool] : world().pools) shrink(*pool);
}
}  // namespace tessera::fakes::cuda
