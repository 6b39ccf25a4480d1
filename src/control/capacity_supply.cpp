#include "control/capacity_supply.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <tuple>

#include "base/check.h"
#include "placement/fit.h"

namespace tessera::control {
namespace {

using catalog::InstanceIndex;
using catalog::Layout;
using fleet::PoolIndex;
using placement::Candidate;
using planning::Cut;

/// Ways to share one GPU among several sizes of shares: beyond that many the question is refused.
constexpr std::size_t kMostShareCuts = 20'000;
constexpr std::size_t kMostShareSteps = 500'000;

/// What makes two slices alike.
using KindKey = std::tuple<PoolIndex, Technology, std::uint16_t, std::int64_t, std::int64_t, int,
                           int, catalog::Isolation>;

KindKey key_of(const Candidate& candidate) {
  const bool share = candidate.technology == Technology::kTimeSlicing;
  const auto& of = candidate.share;
  return {candidate.pool,
          candidate.technology,
          candidate.technology == Technology::kVgpu ? candidate.vgpu_type : candidate.profile,
          share ? of.memory.count() : 0,
          share ? of.compute.count() : 0,
          share ? of.oversubscription : 0,
          share ? of.tenants : 0,
          share ? of.isolation : catalog::Isolation{}};
}

/// One that offers at least as much of everything and costs no more.
bool dominates(const Cut& a, const Cut& b) {
  if (a.cost > b.cost) return false;
  return std::ranges::all_of(b.offers, [&](const planning::Offer& wanted) {
    return std::ranges::any_of(a.offers, [&](const planning::Offer& offer) {
      return offer.kind == wanted.kind && offer.count >= wanted.count;
    });
  });
}

class Builder {
 public:
  Builder(const catalog::Catalog& catalog, const fleet::Fleet& pools, const TechniqueTerms& terms,
          bool licences)
      : catalog_(catalog), pools_(pools), terms_(terms), licences_(licences) {}

  base::Result<SlotSupply> run(const std::vector<SlotLine>& lines,
                               const std::vector<GpuStock>& stocks) {
    for (const SlotLine& line : lines) add_line(line);
    // Leases that may move need slices of their kind, before the cuts that offer them are made.
    for (const GpuStock& stock : stocks)
      if (stock.repacked) keep(stock);
    for (const GpuStock& stock : stocks)
      if (auto added = add_stock(stock); !added) return std::unexpected(added.error());
    return std::move(made_);
  }

 private:
  const catalog::GpuModel& model_of(PoolIndex pool) const {
    return catalog_.model(pools_.pool(pool).model);
  }

  std::size_t kind_of(const Candidate& candidate) {
    const auto [at, fresh] = numbers_.try_emplace(key_of(candidate), made_.kinds.size());
    if (fresh) {
      const auto part = std::max(candidate.cost.compute, candidate.cost.memory);
      made_.kinds.push_back({candidate, name_of(candidate, model_of(candidate.pool)), part});
      made_.supply.kept.push_back(0);
      by_pool_[candidate.pool].push_back(at->second);
    }
    return at->second;
  }

  void add_line(const SlotLine& line) {
    planning::Line added{.need = line.slots * planning::kSlot, .value = line.asked->value};
    for (const Candidate& candidate : slices_for(catalog_, pools_, line)) {
      planning::Use use{.kind = kind_of(candidate)};
      if (candidate.technology == Technology::kVgpu) {
        use.effect = planning::kSlot - terms_.vgpu_overhead;
        if (licences_) use.cost = in_cents(terms_.licence_per_user);
      }
      added.uses.push_back(use);
    }
    made_.supply.lines.push_back(std::move(added));
  }

  /// The slices of one MIG profile of a pool as a kind.
  std::size_t kind_of_instance(PoolIndex pool, InstanceIndex instance) {
    const auto& model = model_of(pool);
    Candidate candidate{.pool = pool,
                        .technology = Technology::kMig,
                        .profile = model.layouts.instance(instance).profile};
    candidate.cost = fleet::cost_of(fleet::MigSlice{instance}, model);
    return kind_of(candidate);
  }

  static Layout movable(const GpuSituation& each) { return each.occupancy.held & ~each.pinned; }

  void keep(const GpuStock& stock) {
    for (Layout rest = movable(stock.each); rest != 0; rest &= rest - 1) {
      const auto instance = static_cast<InstanceIndex>(std::countr_zero(rest));
      made_.supply.kept[kind_of_instance(stock.each.pool, instance)] += stock.count;
    }
  }

  base::Result<void> add_stock(const GpuStock& stock) {
    const bool repacked = stock.repacked && movable(stock.each) != 0;
    const auto known = cuts_.find({stock.each, repacked});
    if (known == cuts_.end()) {
      auto cuts = cuts_of(stock.each, repacked);
      if (!cuts) return std::unexpected(cuts.error());
      return add_stock_with(
          stock, cuts_.emplace(std::pair(stock.each, repacked), std::move(*cuts)).first->second);
    }
    return add_stock_with(stock, known->second);
  }

  base::Result<void> add_stock_with(const GpuStock& stock, const std::vector<Cut>& cuts) {
    planning::Stock added{.count = stock.count, .cuts = cuts};
    std::vector<bool> licensed;
    for (Cut& cut : added.cuts) {
      const bool vgpu =
          !cut.offers.empty() &&
          made_.kinds[cut.offers.front().kind].candidate.technology == Technology::kVgpu;
      cut.cost = stock.cost + (vgpu && licences_ ? in_cents(terms_.licence_per_gpu) : 0);
      licensed.push_back(vgpu);
    }
    made_.supply.stocks.push_back(std::move(added));
    made_.licensed.push_back(std::move(licensed));
    return {};
  }

  /// The ways to cut such a GPU; the first is how it stands, with nothing added.
  base::Result<std::vector<Cut>> cuts_of(const GpuSituation& each, bool repacked) {
    std::vector<Cut> cuts;
    add_mig_cuts(each, repacked, cuts);
    GpuSituation emptied = each;
    if (repacked && each.pinned == 0)
      emptied.occupancy = placement::empty_gpu(pools_.pool(each.pool));
    std::vector<std::size_t> shares;
    for (const std::size_t kind : by_pool_[each.pool]) {
      const Candidate& candidate = made_.kinds[kind].candidate;
      if (candidate.technology == Technology::kMig) continue;
      if (candidate.technology == Technology::kTimeSlicing) {
        shares.push_back(kind);
        continue;
      }
      const auto room = placement::room(model_of(each.pool), pools_.pool(each.pool),
                                        emptied.occupancy, candidate);
      if (room > 0) cuts.push_back({.offers = {{kind, room}}});
    }
    if (!shares.empty() && !add_share_cuts(emptied, shares, cuts))
      return base::fail(base::Reason::kTooLarge,
                        "a " + model_of(each.pool).key + " could be shared by these " +
                            std::to_string(shares.size()) + " sizes of shares in more than " +
                            std::to_string(kMostShareCuts) + " ways",
                        "spec.demand", "merge lines of time-sliced tiers that are nearly alike");
    return cuts;
  }

  /// How many of each wanted kind a layout has, beside `without`.
  Cut cut_of(PoolIndex pool, Layout layout) {
    std::map<std::size_t, std::int64_t> counts;
    for (; layout != 0; layout &= layout - 1) {
      const auto instance = static_cast<InstanceIndex>(std::countr_zero(layout));
      const auto profile = model_of(pool).layouts.instance(instance).profile;
      for (const std::size_t kind : by_pool_[pool]) {
        const Candidate& candidate = made_.kinds[kind].candidate;
        if (candidate.technology == Technology::kMig && candidate.profile == profile)
          ++counts[kind];
      }
    }
    Cut cut;
    for (const auto& [kind, count] : counts) cut.offers.push_back({kind, count});
    return cut;
  }

  std::vector<std::size_t> wanted_profiles(PoolIndex pool) {
    std::set<std::size_t> profiles;
    for (const std::size_t kind : by_pool_[pool])
      if (made_.kinds[kind].candidate.technology == Technology::kMig)
        profiles.insert(made_.kinds[kind].candidate.profile);
    return {profiles.begin(), profiles.end()};
  }

  void add_mig_cuts(const GpuSituation& each, bool repacked, std::vector<Cut>& cuts) {
    const auto& occupancy = each.occupancy;
    cuts.push_back(repacked ? cut_of(each.pool, movable(each)) : Cut{});
    if (!occupancy.empty() && occupancy.technology != Technology::kMig) return;
    const auto profiles = wanted_profiles(each.pool);
    if (profiles.empty()) return;
    const Layout base = repacked ? each.pinned : occupancy.held;
    std::vector<Cut> found;
    if (pools_.pool(each.pool).fixed())
      found.push_back(cut_of(each.pool, occupancy.idle & ~base));
    else
      for (const Layout layout : layouts_with(each.pool, base, profiles))
        found.push_back(cut_of(each.pool, layout & ~base));
    for (std::size_t i = 0; i < found.size(); ++i) {
      bool beaten = found[i].offers.empty();
      for (std::size_t j = 0; j < found.size() && !beaten; ++j)
        beaten =
            j != i && dominates(found[j], found[i]) && (j < i || !dominates(found[i], found[j]));
      if (!beaten) cuts.push_back(found[i]);
    }
  }

  /// Layouts that contain `base` and to which no wanted instance could be added.
  std::vector<Layout> layouts_with(PoolIndex pool, Layout base,
                                   const std::vector<std::size_t>& profiles) {
    const auto& layouts = model_of(pool).layouts;
    Layout wanted = 0;
    for (const std::size_t profile : profiles) wanted |= layouts.instances_of(profile);
    std::set<Layout> seen = {base};
    std::vector<Layout> open = {base}, full;
    while (!open.empty()) {
      const Layout layout = open.back();
      open.pop_back();
      const Layout more = layouts.addable(layout) & wanted;
      if (more == 0) full.push_back(layout);
      for (Layout rest = more; rest != 0; rest &= rest - 1)
        if (const Layout next = layout | (rest & -rest); seen.insert(next).second)
          open.push_back(next);
    }
    std::ranges::sort(full);
    return full;
  }

  /// Every set of shares to which none could be added. False: there are too many.
  bool add_share_cuts(const GpuSituation& each, const std::vector<std::size_t>& shares,
                      std::vector<Cut>& cuts) {
    std::vector<std::int64_t> counts(shares.size(), 0);
    std::size_t steps = 0, made = 0;
    const auto& model = model_of(each.pool);
    const auto& pool = pools_.pool(each.pool);
    const auto fill = [&](const auto& self, const fleet::Occupancy& occupancy,
                          std::size_t from) -> bool {
      if (++steps > kMostShareSteps || made > kMostShareCuts) return false;
      bool full = true;
      for (std::size_t i = 0; i < shares.size(); ++i) {
        const auto found = placement::fit(model, pool, occupancy, made_.kinds[shares[i]].candidate);
        if (!found) continue;
        full = false;
        if (i < from) continue;
        ++counts[i];
        const bool done = self(self, placement::with(occupancy, *found), i);
        --counts[i];
        if (!done) return false;
      }
      Cut cut;
      for (std::size_t i = 0; full && i < shares.size(); ++i)
        if (counts[i] > 0) cut.offers.push_back({shares[i], counts[i]});
      if (cut.offers.empty()) return true;
      cuts.push_back(std::move(cut));
      ++made;
      return true;
    };
    return fill(fill, each.occupancy, 0);
  }

  const catalog::Catalog& catalog_;
  const fleet::Fleet& pools_;
  const TechniqueTerms& terms_;
  bool licences_;
  SlotSupply made_;
  std::map<KindKey, std::size_t> numbers_;
  std::map<PoolIndex, std::vector<std::size_t>> by_pool_;
  std::map<std::pair<GpuSituation, bool>, std::vector<Cut>> cuts_;
};

/// A line that names a profile: that profile in every pool of the tier.
std::vector<Candidate> exactly(const catalog::Catalog& catalog, const fleet::Fleet& pools,
                               const SlotLine& line) {
  std::vector<Candidate> found;
  const auto given = line.tier.isolation_with(Technology::kMig);
  if (!given || *given < line.asked->isolation.value_or(line.tier.isolation)) return found;
  for (std::size_t i = 0; i < pools.pools().size(); ++i) {
    const auto& pool = pools.pools()[i];
    const auto& model = catalog.model(pool.model);
    const auto profile = model.find_profile(line.asked->profile);
    if (!profile || !pool.carries(line.tier.name) || !pool.offers(Technology::kMig)) continue;
    const Layout instances = model.layouts.instances_of(*profile);
    if (instances == 0) continue;
    Candidate candidate{.pool = PoolIndex(i),
                        .technology = Technology::kMig,
                        .profile = static_cast<std::uint16_t>(*profile)};
    const auto first = static_cast<InstanceIndex>(std::countr_zero(instances));
    candidate.cost = fleet::cost_of(fleet::MigSlice{first}, model);
    found.push_back(candidate);
  }
  return found;
}

}  // namespace

std::vector<Candidate> slices_for(const catalog::Catalog& catalog, const fleet::Fleet& pools,
                                  const SlotLine& line) {
  if (!line.asked->profile.empty()) return exactly(catalog, pools, line);
  const request::Need need{.memory = line.asked->memory,
                           .sms = line.asked->sms,
                           .isolation = line.asked->isolation.value_or(line.tier.isolation)};
  const placement::NodeBook no_nodes;
  const tenancy::Team anyone;
  const placement::Tiers tiers = {{line.tier.name, line.tier}};
  return placement::candidates_in({catalog, pools, no_nodes, tiers, anyone}, line.tier, need);
}

base::Result<SlotSupply> slot_supply(const catalog::Catalog& catalog, const fleet::Fleet& pools,
                                     const std::vector<SlotLine>& lines,
                                     const std::vector<GpuStock>& stocks,
                                     const TechniqueTerms& terms, bool licences) {
  return Builder(catalog, pools, terms, licences).run(lines, stocks);
}

}  // namespace tessera::control
