#include "guard/memory.h"

#include <atomic>

namespace tessera::guard {
namespace {

AllocationTable table;
constexpr unsigned kUnknownSlot = kMostGpus + 1;
/// Slot + 1 of each device of this process; 0: not asked yet.
std::atomic<unsigned> slots[kMostGpus];

/// Every process of a tenant finds the same GPU, whatever its devices are called there.
std::uint64_t key_of(cuda::Device device) {
  cuda::Uuid uuid{};
  using GetUuid = cuda::Result(cuda::Uuid*, cuda::Device);
  auto* get = real<GetUuid>(Symbol::cuDeviceGetUuid_v2);
  if (get == nullptr) get = real<GetUuid>(Symbol::cuDeviceGetUuid);
  if (get == nullptr || get(&uuid, device) != cuda::kSuccess)
    return static_cast<std::uint64_t>(device) + 1;
  return key_of_uuid(uuid);
}

}  // namespace

AllocationTable& allocations() {
  return table;
}

void forget_memory() {
  table.reset();
  forget_pools();
  forget_vmm();
  forget_launches();
  forget_graphs();
}

bool place_of(cuda::Device device, Place& place) {
  place.ledger = ledger();
  if (place.ledger == nullptr || device < 0 || device >= static_cast<int>(kMostGpus)) return false;
  place.device = device;
  auto& known = slots[device];
  if (known == 0) known = place.ledger->slot_of(key_of(device)) + 1;
  if (known >= kUnknownSlot) return false;
  place.slot = known - 1;
  return true;
}

bool find_place(Place& place) {
  cuda::Device device = 0;
  cuda::Handle context = nullptr;
  if (real<cuda::Result(cuda::Device*)>(Symbol::cuCtxGetDevice)(&device) != cuda::kSuccess ||
      real<cuda::Result(cuda::Handle*)>(Symbol::cuCtxGetCurrent)(&context) != cuda::kSuccess)
    return false;
  place.context = context;
  return place_of(device, place);
}

bool reserve_or_trim(const Place& place, std::uint64_t bytes) {
  if (place.ledger->reserve(place.slot, bytes)) return true;
  trim_pools();
  trim_graphs();
  return place.ledger->reserve(place.slot, bytes);
}

void release_context(const void* context) {
  auto* account = ledger();
  Allocation gone;
  while (context != nullptr && allocations().take_of_context(context, gone))
    if (account != nullptr) account->release(gone.slot, gone.bytes);
  reconcile_pools();
}

}  // namespace tessera::guard
