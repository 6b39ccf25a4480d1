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

constexpr std::int64_t kGpu = 1000;

std::int64_t up(std::int64_t part, std::int64_t whole) {
  return (part + whole - 1) / whole;
}

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

/// The GPU's terms once the share is there too: the strictest that anyone on it was promised.
Occupancy terms_with(const Occupancy& occupancy, const fleet::ShareSlice& share) {
  Occupancy terms = occupancy;
  terms.add(share);
  return terms;
}

/// Guarded and unguarded shares do not meet.
bool neighbours_suit(const Occupancy& occupancy, const fleet::ShareSlice& share) {
  return occupancy.empty() || occupancy.share_isolation == share.isolation;
}

std::optional<Fit> fit_share(const GpuModel& model, const Pool& pool, const Occupancy& occupancy,
                             const Candidate& candidate) {
  if (pool.fixed() || !open_to(occupancy, Technology::kTimeSlicing)) return std::nullopt;
  const auto& share = candidate.share;
  if (!neighbours_suit(occupancy, share)) return std::nullopt;
  const auto after = terms_with(occupancy, share);
  const auto memory_left = model.memory - after.share_memory;
  const auto compute_left = std::int64_t{1000} * after.share_ceiling - after.share_compute.count();
  if (after.tenants > after.share_tenants || compute_left < 0) return std::nullopt;
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

namespace {

std::int64_t mig_room(const GpuModel& model, const Pool& pool, const Occupancy& occupancy,
                      const Candidate& candidate) {
  const Layout wanted = model.layouts.instances_of(candidate.profile);
  if (pool.fixed()) return std::popcount(occupancy.idle & wanted);
  // Places of one profile never overlap, so each slice uses up one of them and no other.
  const auto places = std::popcount(model.layouts.addable(occupancy.held) & wanted);
  const auto used = std::popcount(occupancy.held & wanted);
  return std::min(places, model.profiles[candidate.profile].max_instances - used);
}

std::int64_t share_room(const GpuModel& model, const Occupancy& occupancy,
                        const Candidate& candidate) {
  const auto& share = candidate.share;
  if (!neighbours_suit(occupancy, share)) return 0;
  const auto terms = terms_with(occupancy, share);
  const auto compute_left =
      std::int64_t{1000} * terms.share_ceiling - occupancy.share_compute.count();
  auto most = std::min<std::int64_t>(terms.share_tenants - occupancy.tenants,
                                     compute_left / share.compute.count());
  if (share.memory.count() > 0)
    most = std::min(most, (model.memory - occupancy.share_memory).count() / share.memory.count());
  return std::max<std::int64_t>(most, 0);
}

}  // namespace

std::int64_t room(const GpuModel& model, const Pool& pool, const Occupancy& occupancy,
                  const Candidate& candidate) {
  if (!open_to(occupancy, candidate.technology)) return 0;
  if (candidate.technology == Technology::kMig) return mig_room(model, pool, occupancy, candidate);
  if (pool.fixed()) return 0;
  switch (candidate.technology) {
    case Technology::kTimeSlicing:
      return share_room(model, occupancy, candidate);
    case Technology::kVgpu:
      if (!occupancy.empty() && occupancy.vgpu_type != candidate.vgpu_type) return 0;
      return model.vgpu_types[candidate.vgpu_type].max_per_gpu - occupancy.tenants;
    default:
      return occupancy.empty() ? 1 : 0;
  }
}

Occupancy empty_gpu(const Pool& pool) {
  return {.idle = pool.fixed() ? pool.static_layout : Layout{0}};
}

double loss_of(const Fit& fit) {
  return static_cast<double>((fit.loss * 2 + (fit.creates ? 1 : 0)) * 64 +
                             std::popcount(fit.retires));
}

std::int64_t free_for_shares(const GpuModel& model, const Occupancy& occupancy) {
  if (occupancy.empty()) return kGpu;
  if (occupancy.technology != Technology::kTimeSlicing) return 0;
  if (occupancy.tenants >= occupancy.share_tenants) return 0;
  auto used = up(occupancy.share_compute.count(), std::max<int>(occupancy.share_ceiling, 1));
  if (model.memory.count() > 0)
    used = std::max(used, up(kGpu * occupancy.share_memory.count(), model.memory.count()));
  return std::clamp(kGpu - used, std::int64_t{0}, kGpu);
}

std::int64_t gpu_part(const Candidate& candidate, const GpuModel& model) {
  if (candidate.technology == Technology::kTimeSlicing) {
    Occupancy alone;
    alone.add(candidate.share);
    return kGpu - free_for_shares(model, alone);
  }
  const auto most = std::max(candidate.cost.compute, candidate.cost.memory).count();
  return std::min(kGpu, up(kGpu * most, base::kWholeGpu.count()));
}

Occupancy with(const Occupancy& occupancy, const Fit& fit) {
  Occupancy after = occupancy;
  after.idle &= ~fit.retires;
  after.add(fit.shape);
  return after;
}

std::optional<std::vector<Pick>> pack(const catalog::GpuModel& model, const fleet::Pool& pool,
                                      std::vector<NodeGpu> gpus, const Candidate& candidate,
                                      int count) {
  std::vector<Pick> picks;
  for (int i = 0; i < count; ++i) {
    NodeGpu* best = nullptr;
    std::optional<Fit> best_fit;
    // Fullest first: GPUs in use before empty ones, then the least loss.
    const auto rank = [](const NodeGpu& at, const Fit& found) {
      return std::tuple(at.occupancy.empty(), found.loss, found.creates,
                        std::popcount(found.retires), at.gpu);
    };
    for (auto& at : gpus) {
      const auto found = fit(model, pool, at.occupancy, candidate);
      if (!found || (best != nullptr && rank(*best, *best_fit) <= rank(at, *found))) continue;
      best = &at;
      best_fit = found;
    }
    if (best == nullptr) return std::nullopt;
    picks.push_back({best->gpu, *best_fit});
    best->occupancy = with(best->occupancy, *best_fit);
  }
  return picks;
}

}  // namespace tessera::placement
