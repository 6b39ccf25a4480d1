#pragma once

#include "guard/allocation_table.h"
#include "guard/attach.h"
#include "guard/driver.h"
#include "guard/gpu_key.h"

/// What the wrappers of all allocation families share: the way from a call to the account of its
/// GPU, and the one order of steps: reserve, then allocate, then settle or roll back.
///
/// Threads: any. The driver is never called with a lock held, but for pools (memory_pools.cpp).
namespace tessera::guard {

/// The GPU that a call is about, and who pays.
struct Place {
  Ledger* ledger = nullptr;
  unsigned slot = 0;
  cuda::Device device = 0;
  const void* context = nullptr;
};
/// Of the current context. False: there is none (the driver will say so), or no account.
bool find_place(Place& place);
bool place_of(cuda::Device device, Place& place);
/// What a call that allocates returns without a place: a forked child that got no account gets no
/// memory either; everything else is the driver's to answer.
template <class Call>
cuda::Result without_place(Call call) {
  return ledger() == nullptr ? cuda::kSystemNotReady : call();
}

AllocationTable& allocations();
/// Called in a forked child.
void forget_memory();
void forget_pools();
void forget_vmm();
void forget_launches();
void forget_graphs();

/// The smallest piece that the driver's allocator gives out.
inline constexpr std::uint64_t kPiece = 512;
/// Rounded up to a multiple; the largest multiple where that would overflow.
constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t to) {
  return bytes > ~std::uint64_t{0} - to ? ~std::uint64_t{0} / to * to : (bytes + to - 1) / to * to;
}
constexpr std::uint64_t product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? ~std::uint64_t{0} : result;
}

/// What pools hold without using it goes back to the driver; then as Ledger::reserve.
bool reserve_or_trim(const Place& place, std::uint64_t bytes);

/// What an allocating call has done.
struct Taken {
  std::uint64_t key = 0;    ///< address or handle
  std::uint64_t bytes = 0;  ///< really in use; begins as what was reserved
};

/// Runs `call(Taken&)`, which allocates at most `bytes` (or frees it and fails), within the limit.
template <class Call>
cuda::Result allocate(const Place& place, std::uint64_t bytes, Call call) {
  if (!reserve_or_trim(place, bytes)) return cuda::kOutOfMemory;
  Taken taken{0, bytes};
  const auto result = call(taken);
  if (result != cuda::kSuccess) {
    place.ledger->settle(place.slot, bytes, 0);
    return result;
  }
  // Without memory for the entry the charge stays until the process ends: too much, never too
  // little.
  allocations().put({taken.key, taken.bytes, place.context, place.slot, 1});
  place.ledger->settle(place.slot, bytes, taken.bytes);
  return result;
}

/// Runs `call()`, which frees what has this key. The entry leaves the table first, because the
/// driver may give the same address to another thread at once; the charge goes last.
template <class Call>
cuda::Result free_allocation(std::uint64_t key, Call call) {
  Allocation freed;
  const bool known = allocations().take(key, freed);
  const auto result = call();
  if (!known) return result;
  if (result != cuda::kSuccess)
    allocations().put(freed);
  else if (auto* account = ledger())
    account->release(freed.slot, freed.bytes);
  return result;
}

/// The driver has freed all that belonged to this context.
void release_context(const void* context);

/// memory_pools.cpp: charges each pool's reserved memory as it is now. Cheap where there is no
/// pool.
void reconcile_pools();
/// Gives back to the driver what they hold without using it, first.
void trim_pools();
/// Charges what the driver's graphs have reserved on each device.
void reconcile_graphs();
void trim_graphs();
/// From now on reconcile_graphs() looks.
void watch_graph_memory();

}  // namespace tessera::guard
