#include "fleet/gpu.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace tessera::fleet {

std::string_view to_string(SlicePhase phase) {
  constexpr std::array<std::string_view, 5> kNames = {"idle", "preparing", "in-use", "scrubbing",
                                                      "failed"};
  return kNames[static_cast<std::size_t>(phase)];
}

std::string_view to_string(Health health) {
  return health == Health::kHealthy ? "healthy" : "quarantined";
}

const Slice* Gpu::find(std::uint64_t wanted) const {
  const auto found = std::ranges::find(slices, wanted, &Slice::generation);
  return found == slices.end() ? nullptr : &*found;
}
Slice* Gpu::find(std::uint64_t wanted) {
  return const_cast<Slice*>(std::as_const(*this).find(wanted));
}

const Slice* Gpu::find_idle(const SliceShape& shape) const {
  const auto found = std::ranges::find_if(slices, [&](const Slice& slice) {
    return slice.phase == SlicePhase::kIdle && slice.shape == shape;
  });
  return found == slices.end() ? nullptr : &*found;
}

void Occupancy::add(const SliceShape& shape) {
  ++tenants;
  technology = technology_of(shape);
  if (const auto* mig = std::get_if<MigSlice>(&shape)) {
    held |= catalog::bit(mig->instance);
    idle &= ~catalog::bit(mig->instance);
  } else if (const auto* vgpu = std::get_if<VgpuSlice>(&shape)) {
    vgpu_type = vgpu->type;
  } else if (const auto* share = std::get_if<ShareSlice>(&shape)) {
    share_memory += share->memory;
    share_compute += share->compute;
    const auto stricter = [](std::uint16_t here, std::uint16_t asked) {
      return here == 0 ? asked : std::min(here, asked);
    };
    share_ceiling = stricter(share_ceiling, share->oversubscription);
    share_tenants = stricter(share_tenants, share->tenants);
    share_isolation = std::max(share_isolation, share->isolation);
  }
}

Occupancy occupancy_of(const Gpu& gpu) {
  Occupancy occupancy;
  for (const auto& slice : gpu.slices) {
    if (slice.phase != SlicePhase::kIdle)
      occupancy.add(slice.shape);
    else if (const auto* mig = std::get_if<MigSlice>(&slice.shape))
      occupancy.idle |= catalog::bit(mig->instance);
  }
  return occupancy;
}

}  // namespace tessera::fleet
