#include "placement/fit.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace tessera::placement {
namespace {

using catalog::bit;
using catalog::GpuModel;
using catalog::InstanceIndex;
using catalog::Layout;
using catalog::Technology;
using fleet::Occupancy;
using fleet::Pool;

/// A GPU serves one technology at a time; an empty one may change.
bool open_to(const Occupancy& occupancy, Technology technology) {
  return occupancy.empty() || occupancy.technology == technology;
}

std::optional<Fit> fit_existing(const Occupancy& occupancy, Layout wanted) {
  const Layout usable = occupancy.idle & wanted;
  if (usable == 0) return std::nullopt;
  // Fewest idle instances left: fill one GPU before opening the next.
  const auto instance = static_cast<InstanceIndex>(std::countr_zero(usable));
  return Fit{fleet::MigSlice{instance}, std::popcount(occupancy.idle), false, 0};
}

std::optional<Fit> fit_mig(const GpuModel& model, const Pool& pool, const Occupancy& occupancy,
                           const Candidate& candidate) {
  const auto& layouts = model.layouts;
  const Layout wanted = layouts.instances_of(candidate.profile);
  if (!open_to(occupancy, Technology::kMig)) return std::nullopt;
  if (pool.fixed()) return fit_existing(occupancy, wanted);

  Layout possible = layouts.addable(occupancy.held) & wanted;
  if (possible == 0) return std::nullopt;
  const int before = layouts.openness(occupancy.held);
  std::optional<Fit> best;
  for (; possible != 0; possible &= possible - 1) {
    const auto instance = static_cast<InstanceIndex>(std::countr_zero(possible));
    const Layout after = occupancy.held | bit(instance);
    const bool exists = (occupancy.idle & bit(instance)) != 0;
    // An idle instance must go where it overlaps, or where its profile's count is used up.
    const Layout retires =
        exists ? Layout{0} : occupancy.idle & ~layouts.addable(after) & ~bit(instance);
    const Fit found{fleet::MigSlice{instance}, before - layouts.openness(after), !exists, retires};
    const auto rank = [](const Fit& fit) {
      return std::tuple(fit.loss, fit.creates, std::popcount(fit.retires));
    };
    if (!best || rank(found) < rank(*best)) best = found;
  }
  return best;
}

std::optional<Fit> fit_share(const GpuModel& model, const Pool& pool, const Occupancy& occupancy,
                             const Candidate& candidate) {
  if (pool.fixed() || !open_to(occupancy, Technology::kTimeSlicing)) return std::nullopt;
  const auto& share = candidate.share;
  const int ceiling = occupancy.share_ceiling == 0
                          ? share.oversubscription
                          : std::min(occupancy.share_ceiling, share.oversubscription);
  const auto memory_left = model.memory - occupancy.share_memory - share.memory;
  const auto compute_left =
      std::int64_t{1000} * ceiling - occupancy.share_compute.count() - share.compute.count();
  if (occupancy.tenants >= candidate.max_tenants || compute_left < 0) return std::nullopt;
  // Memory is never oversubscribed. Where a model's memory is unknown, only shares without a
  // memory promise are granted.
  if (share.memory.count() > 0 && memory_left.count() < 0) return std::nullopt;
  return Fit{share, compute_left, true, occupancy.idle};
}

std::optional<Fit> fit_vgpu(const GpuModel& model, const Pool& pool, const Occupancy& occupancy,
                            const Candidate& candidate) {
  if (pool.fixed() || !open_to(occupancy, Technology::kVgpu)) return std::nullopt;
  if (!occupancy.empty() && occupancy.vgpu_type != candidate.vgpu_type) return std::nullopt;
  const int left = model.vgpu_types[candidate.vgpu_type].max_per_gpu - occupancy.tenants - 1;
  if (left < 0) return std::nullopt;
  return Fit{fleet::VgpuSlice{candidate.vgpu_type}, left, true, occupancy.idle};
}

std::optional<Fit> fit_whole(const Pool& pool, const Occupancy& occupancy) {
  if (pool.fixed() || !occupancy.empty()) return std::nullopt;
  return Fit{fleet::WholeSlice{}, 0, true, occupancy.idle};
}

}  // namespace

std::optional<Fit> fit(const GpuModel& model, const Pool& pool, const Occupancy& occupancy,
                       const Candidate& candidate) {
  switch (candidate.technology) {
    case Technology::kMig:
      return fit_mig(model, pool, occupancy, candidate);
    case Technology::kTimeSlicing:
      return fit_share(model, pool, occupancy, candidate);
    case Technology::kVgpu:
      return fit_vgpu(model, pool, occupancy, candidate);
    case Technology::kWhole:
      return fit_whole(pool, occupancy);
  }
  return std::nullopt;
}

Occupancy with(const Occupancy& occupancy, const Fit& fit) {
  Occupancy after = occupancy;
  ++after.tenants;
  after.technology = fleet::technology_of(fit.shape);
  after.idle &= ~fit.retires;
  if (const auto* mig = std::get_if<fleet::MigSlice>(&fit.shape)) {
    after.held |= bit(mig->instance);
    after.idle &= ~bit(mig->instance);
  } else if (const auto* vgpu = std::get_if<fleet::VgpuSlice>(&fit.shape)) {
    after.vgpu_type = vgpu->type;
  } else if (const auto* share = std::get_if<fleet::ShareSlice>(&fit.shape)) {
    after.share_memory += share->memory;
    after.share_compute += share->compute;
    after.share_ceiling = after.share_ceiling == 0
                              ? share->oversubscription
                              : std::min(after.share_ceiling, share->oversubscription);
  }
  return after;
}

}  // namespace tessera::placement
