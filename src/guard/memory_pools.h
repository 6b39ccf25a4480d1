#pragma once

#include "guard/memory.h"

/// Stream-ordered memory. The driver's pools keep memory that the program has given back, so what
/// counts is what a pool has reserved and not what was asked of it.
///
/// One lock per process orders allocation and looking at a pool: in between the charge and the
/// pool's own figure would differ.
namespace tessera::guard {

struct PoolCall {
  cuda::Handle pool;  ///< nullptr: the current pool of the device
  std::size_t size;
  cuda::Handle stream;
  Symbol free;          ///< cuMemFreeAsync in the form of the call
  Symbol is_capturing;  ///< cuStreamIsCapturing likewise
};
/// Runs `allocate()`, a stream-ordered allocation as `call` describes it.
template <class Allocate>
cuda::Result allocate_from_pool(const PoolCall& call, cuda::DevicePtr* pointer, Allocate allocate);

/// The steps of it.
class PoolTurn {
 public:
  explicit PoolTurn(const PoolCall& call);
  PoolTurn(const PoolTurn&) = delete;
  PoolTurn& operator=(const PoolTurn&) = delete;
  ~PoolTurn();

  /// False: over the limit, also after what the pool holds without use has been given back.
  bool admit();
  /// Charges what the pool has grown by; kOutOfMemory, and undone, if that is over the limit.
  cuda::Result settle(cuda::Result result, const cuda::DevicePtr* pointer);

 private:
  const PoolCall& call_;
  Place place_;
  cuda::Handle pool_ = nullptr;
  std::uint64_t reserved_ = 0;
  bool watched_ = false;
  bool reserving_ = false;
};

template <class Allocate>
cuda::Result allocate_from_pool(const PoolCall& call, cuda::DevicePtr* pointer, Allocate allocate) {
  PoolTurn turn(call);
  if (!turn.admit()) return cuda::kOutOfMemory;
  return turn.settle(allocate(), pointer);
}

template <Symbol kSelf, Symbol kFree, Symbol kIsCapturing>
cuda::Result mem_alloc_async(cuda::DevicePtr* pointer, std::size_t size, cuda::Handle stream) {
  auto* driver = next<kSelf>(&mem_alloc_async<kSelf, kFree, kIsCapturing>);
  return allocate_from_pool({nullptr, size, stream, kFree, kIsCapturing}, pointer,
                            [&] { return driver(pointer, size, stream); });
}

template <Symbol kSelf, Symbol kFree, Symbol kIsCapturing>
cuda::Result mem_alloc_from_pool_async(cuda::DevicePtr* pointer, std::size_t size,
                                       cuda::Handle pool, cuda::Handle stream) {
  auto* driver = next<kSelf>(&mem_alloc_from_pool_async<kSelf, kFree, kIsCapturing>);
  return allocate_from_pool({pool, size, stream, kFree, kIsCapturing}, pointer,
                            [&] { return driver(pointer, size, pool, stream); });
}

template <Symbol kSelf>
cuda::Result mem_free_async(cuda::DevicePtr pointer, cuda::Handle stream) {
  auto* driver = next<kSelf>(&mem_free_async<kSelf>);
  const auto result = free_allocation(pointer, [&] { return driver(pointer, stream); });
  reconcile_pools();
  return result;
}

cuda::Result mem_pool_create(cuda::Handle* pool, const cuda::PoolProperties* properties);
cuda::Result mem_pool_destroy(cuda::Handle pool);
cuda::Result mem_pool_trim_to(cuda::Handle pool, std::size_t bytes);
/// A pool of another process: its exporter pays.
cuda::Result mem_pool_import(cuda::Handle* pool, void* handle, std::int32_t type,
                             unsigned long long flags);
cuda::Result device_graph_mem_trim(cuda::Device device);

}  // namespace tessera::guard
