#include "control/capacity_room.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "placement/fit.h"

namespace tessera::control {
namespace {

using catalog::Layout;
using fleet::PoolIndex;
using placement::Candidate;

bool larger(const LargestSlice& a, const LargestSlice& b) {
  return std::tie(a.memory, a.sms) > std::tie(b.memory, b.sms);
}

/// One kind of slice of one pool, with its size.
struct Sized {
  Candidate candidate;
  LargestSlice slice;
};

/// Every kind of slice that a tier could give in a pool, shares apart.
std::vector<Sized> kinds_in(const catalog::GpuModel& model, const fleet::Pool& pool,
                            PoolIndex index, const tenancy::Tier& tier) {
  std::vector<Sized> kinds;
  const auto gives = [&](Technology technology) {
    return pool.offers(technology) && tier.isolation_with(technology).has_value();
  };
  if (gives(Technology::kMig))
    for (const auto profile : model.plain_by_size) {
      const auto& of = model.profiles[profile];
      const Candidate candidate{.pool = index, .technology = Technology::kMig, .profile = profile};
      kinds.push_back(
          {candidate,
           {of.name, of.memory.value_or(base::MiB()), of.sms.value_or(base::Sms()), pool.name}});
    }
  if (gives(Technology::kVgpu))
    for (std::size_t t = 0; t < model.vgpu_types.size(); ++t) {
      const auto& type = model.vgpu_types[t];
      const Candidate candidate{.pool = index,
                                .technology = Technology::kVgpu,
                                .vgpu_type = static_cast<std::uint16_t>(t)};
      const base::Sms share(model.sms.count() / type.max_per_gpu);
      kinds.push_back({candidate, {type.name, type.framebuffer, share, pool.name}});
    }
  if (gives(Technology::kWhole)) {
    const Candidate candidate{.pool = index, .technology = Technology::kWhole};
    kinds.push_back({candidate, {"whole", model.memory, model.sms, pool.name}});
  }
  return kinds;
}

/// The largest share that a GPU takes beside those that are there.
LargestSlice largest_share(const catalog::GpuModel& model, const fleet::Pool& pool,
                           const fleet::Occupancy& occupancy, const tenancy::Tier& tier) {
  if (!pool.offers(Technology::kTimeSlicing) || !tier.isolation_with(Technology::kTimeSlicing))
    return {};
  const bool shared = !occupancy.empty() && occupancy.technology == Technology::kTimeSlicing;
  const base::MiB left = model.memory - (shared ? occupancy.share_memory : base::MiB());
  if (left.count() <= 0) return {};
  const Candidate candidate{.technology = Technology::kTimeSlicing,
                            .share = tier.share_of(left, base::MilliShare(1000))};
  if (placement::room(model, pool, occupancy, candidate) == 0) return {};
  return {name_of(candidate, model), left, model.sms, pool.name};
}

}  // namespace

LargestSlice largest_now(const catalog::Catalog& catalog, const FleetAtHand& fleet,
                         const tenancy::Tier& tier) {
  LargestSlice best;
  for (const GpusAlike& gpus : fleet.gpus) {
    const auto& pool = fleet.fleet.pool(gpus.each.pool);
    if (!pool.carries(tier.name)) continue;
    const auto& model = catalog.model(pool.model);
    for (const Sized& kind : kinds_in(model, pool, gpus.each.pool, tier))
      if (larger(kind.slice, best) &&
          placement::room(model, pool, gpus.each.occupancy, kind.candidate) > 0)
        best = kind.slice;
    const auto share = largest_share(model, pool, gpus.each.occupancy, tier);
    if (larger(share, best)) best = share;
  }
  return best;
}

base::Result<LargestSlice> largest_planned(const SizingWorld& world, const FleetAtHand& fleet,
                                           const tenancy::Tier& tier, const LargestSlice& now) {
  std::vector<Sized> kinds;
  for (std::size_t p = 0; p < fleet.fleet.pools().size(); ++p) {
    const auto& pool = fleet.fleet.pools()[p];
    if (!pool.carries(tier.name)) continue;
    for (const Sized& kind : kinds_in(world.catalog.model(pool.model), pool, PoolIndex(p), tier))
      if (larger(kind.slice, now)) kinds.push_back(kind);
  }
  std::ranges::stable_sort(kinds,
                           [](const Sized& a, const Sized& b) { return larger(a.slice, b.slice); });
  for (const Sized& kind : kinds) {
    tenancy::Tier only = tier;
    only.technologies = {kind.candidate.technology};
    DemandLine line{.tier = tier.name};
    if (kind.candidate.technology == Technology::kMig) line.profile = kind.slice.name;
    line.memory = kind.slice.memory;
    // Of this pool alone: another with the same model may be full.
    fleet::Fleet pools = fleet.fleet;
    for (std::size_t p = 0; p < pools.pools().size(); ++p)
      if (PoolIndex(p) != kind.candidate.pool) pools.pool(PoolIndex(p)).tiers.clear();
    const auto served = serve(world, pools, {{&line, only, 1}}, stocks_of(fleet, true));
    if (!served) return std::unexpected(served.error());
    if (served->served > 0) return kind.slice;
  }
  return now;
}

std::vector<GpuStock> stocks_of(const FleetAtHand& fleet, bool repacked) {
  std::vector<GpuStock> stocks;
  for (const GpusAlike& gpus : fleet.gpus)
    stocks.push_back({.each = gpus.each, .count = gpus.count, .repacked = repacked});
  return stocks;
}

bool any_movable(const FleetAtHand& fleet) {
  return std::ranges::any_of(fleet.gpus, [&](const GpusAlike& gpus) {
    return (gpus.each.occupancy.held & ~gpus.each.pinned) != 0;
  });
}

}  // namespace tessera::control
