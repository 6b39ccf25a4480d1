#pragma once

#include <algorithm>

#include "guard/memory.h"

/// What programs ask about memory: they see the limit as the size of the GPU.
namespace tessera::guard {

/// Cuts figures of the whole GPU down to the tenant's part.
inline void show_limit(const Place& place, std::uint64_t& free, std::uint64_t& total) {
  const auto limit = place.ledger->limit(place.slot);
  const auto used = charged(*place.ledger->accounts(), place.slot);
  total = std::min(total, limit);
  free = std::min({free, used < limit ? limit - used : 0, total});
}

template <Symbol kSelf, class Size>
cuda::Result mem_get_info(Size* free, Size* total) {
  auto* driver = next<kSelf>(&mem_get_info<kSelf, Size>);
  Size free_now = 0;
  Size total_now = 0;
  const auto result = driver(&free_now, &total_now);
  if (result != cuda::kSuccess) return result;
  Place place;
  if (find_place(place)) {
    reconcile_pools();
    std::uint64_t shown_free = free_now;
    std::uint64_t shown_total = total_now;
    show_limit(place, shown_free, shown_total);
    free_now = static_cast<Size>(shown_free);
    total_now = static_cast<Size>(shown_total);
  }
  if (free != nullptr) *free = free_now;
  if (total != nullptr) *total = total_now;
  return result;
}

template <Symbol kSelf, class Size>
cuda::Result device_total_mem(Size* bytes, cuda::Device device) {
  auto* driver = next<kSelf>(&device_total_mem<kSelf, Size>);
  const auto result = driver(bytes, device);
  Place place;
  if (result == cuda::kSuccess && bytes != nullptr && place_of(device, place))
    *bytes = static_cast<Size>(std::min<std::uint64_t>(*bytes, place.ledger->limit(place.slot)));
  return result;
}

}  // namespace tessera::guard
