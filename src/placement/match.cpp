#include "placement/match.h"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>

#include "base/check.h"
#include "placement/fit.h"

namespace tessera::placement {
namespace {

using base::fail;
using base::MiB;
using base::MilliShare;
using base::Reason;
using base::Result;
using base::Sms;
using catalog::GpuModel;
using catalog::MigProfile;
using catalog::Technology;
using fleet::Cost;
using fleet::Pool;
using fleet::PoolIndex;
using request::Need;
using tenancy::Tier;

std::int64_t size_of(Cost cost) {
  return cost.compute.count() + cost.memory.count();
}

Cost times(Cost cost, int count) {
  return {cost.compute * count, cost.memory * count};
}

constexpr std::size_t kUsualCandidates = 8;

/// What the largest thing seen so far could have offered, for the text of a refusal. Most needs are
/// not refused: its name is put together only when asked for, from parts that the catalog owns.
struct Largest {
  MiB memory;
  std::string_view slice;
  std::string_view of;
  std::string_view model;
  std::string where() const { return std::string(slice).append(of).append(model); }
  void offer(const Largest& other) {
    if (other.memory > memory) *this = other;
  }
};

/// Collects the candidates of one tier and why others fell away.
class TierMatch {
 public:
  /// `any_nodes`: takes it that there are nodes for whatever a GPU can hold.
  TierMatch(const MatchWorld& world, const Need& need, const Tier& tier, bool any_nodes = false)
      : world_(world), need_(need), tier_(tier), any_nodes_(any_nodes) {}

  void collect() {
    const auto& pools = world_.fleet.pools();
    for (std::size_t i = 0; i < pools.size(); ++i) {
      const auto& pool = pools[i];
      if (pool.name.empty() || !pool.carries(tier_.name)) continue;
      if (!need_.pool.empty() && pool.name != need_.pool) continue;
      const auto& model = world_.catalog.model(pool.model);
      if (!need_.models.empty() && std::ranges::find(need_.models, model.key) == need_.models.end())
        continue;
      const auto* quota = world_.team.quota(pool.name);
      limit_ = quota != nullptr && quota->limit ? &*quota->limit : nullptr;
      collect_pool(PoolIndex(i), pool, model);
    }
  }

  /// Sorted: the tier's preference of technology, then the least slice; equals by their pool's
  /// name.
  std::vector<Candidate> take() {
    if (found_.size() < 2) return std::move(found_);
    drop_waste();
    std::vector<std::pair<Rank, std::size_t>> order;
    order.reserve(found_.size());
    for (std::size_t i = 0; i < found_.size(); ++i) order.emplace_back(rank_of(found_[i]), i);
    const auto name = [&](std::size_t i) -> const std::string& {
      return world_.fleet.pool(found_[i].pool).name;
    };
    const auto before = [&](const auto& a, const auto& b) {
      return a.first != b.first ? a.first < b.first : name(a.second) < name(b.second);
    };
    if (!std::ranges::is_sorted(order, before)) {
      std::ranges::stable_sort(order, before);
      std::vector<Candidate> sorted;
      sorted.reserve(found_.size());
      for (const auto& [rank, i] : order) sorted.push_back(found_[i]);
      found_ = std::move(sorted);
    }
    std::uint16_t group = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i > 0 && order[i].first != order[i - 1].first) ++group;
      found_[i].group = group;
    }
    return std::move(found_);
  }

  bool isolation_met() const { return isolation_met_; }
  bool over_limit() const { return over_limit_; }
  bool node_too_small() const { return node_too_small_; }
  bool too_few_nodes() const { return too_few_nodes_; }
  bool no_link() const { return no_link_; }
  const Largest& largest() const { return largest_; }

 private:
  /// A whole GPU for what a small piece of such a GPU would do is no answer, however long the queue
  /// is. GPUs of different models are not compared: half of one may be worth less than an eighth of
  /// another.
  void drop_waste() {
    const auto whole = [](const Candidate& one) { return one.technology == Technology::kWhole; };
    if (std::ranges::none_of(found_, whole)) return;
    std::map<catalog::ModelIndex, std::int64_t> least;
    for (const auto& one : found_) {
      const auto size = size_of(one.cost);
      auto& smallest = least.try_emplace(model_of(one), size).first->second;
      smallest = std::min(smallest, size);
    }
    std::erase_if(found_, [&](const Candidate& one) {
      return whole(one) && size_of(one.cost) > least.at(model_of(one)) * kMaxOversize;
    });
  }
  catalog::ModelIndex model_of(const Candidate& candidate) const {
    return world_.fleet.pool(candidate.pool).model;
  }

  void collect_pool(PoolIndex index, const Pool& pool, const GpuModel& model) {
    for (const auto technology : tier_.technologies) {
      const auto given = tier_.isolation_with(technology);
      if (!given || *given < need_.isolation || !pool.offers(technology)) continue;
      isolation_met_ = true;
      found_.reserve(kUsualCandidates);
      // What a GPU is divided into cannot use its links.
      if (need_.linked() && technology != Technology::kWhole) continue;
      Candidate candidate{.pool = index, .technology = technology};
      switch (technology) {
        case Technology::kMig:
          add_profiles(candidate, model);
          break;
        case Technology::kVgpu:
          add_vgpu(candidate, model);
          break;
        case Technology::kTimeSlicing:
          add_share(candidate, model);
          break;
        case Technology::kWhole:
          add_whole(candidate, model);
          break;
      }
    }
  }

  using Rank = std::tuple<std::ptrdiff_t, std::int64_t, Sms, MiB>;
  Rank rank_of(const Candidate& candidate) const {
    const auto preference =
        std::ranges::find(tier_.technologies, candidate.technology) - tier_.technologies.begin();
    const auto& model = world_.catalog.model(world_.fleet.pool(candidate.pool).model);
    Sms sms = model.sms;
    MiB memory = model.memory;
    if (candidate.technology == Technology::kMig) {
      sms = model.profiles[candidate.profile].sms.value_or(sms);
      memory = model.profiles[candidate.profile].memory.value_or(memory);
    }
    return {preference, size_of(candidate.cost), sms, memory};
  }

  /// Compute asked for in SMs, if the need states it either way and the model's SMs are known.
  Sms wanted_sms(const GpuModel& model) const {
    if (need_.sms.count() > 0) return need_.sms;
    return Sms((need_.compute.count() * model.sms.count() + 999) / 1000);
  }

  bool enough_compute(const MigProfile& profile, const GpuModel& model) const {
    if (need_.sms.count() == 0 && need_.compute.count() == 0) return true;
    if (profile.sms && (model.sms.count() > 0 || need_.sms.count() > 0))
      return *profile.sms >= wanted_sms(model);
    // Without published SMs the compute slices are the only honest measure.
    return need_.sms.count() == 0 &&
           profile.compute_slices * 1000 >= need_.compute.count() * model.compute_slices;
  }

  void add_profiles(Candidate candidate, const GpuModel& model) {
    std::optional<std::int64_t> most;
    for (const auto i : model.plain_by_size) {
      const auto& profile = model.profiles[i];
      const auto memory = profile.memory.value_or(MiB(0));
      largest_.offer({memory, profile.name, " on ", model.key});
      if (need_.memory.count() > 0 && memory < need_.memory) continue;
      if (!enough_compute(profile, model)) continue;
      candidate.profile = i;
      candidate.cost = fleet::cost_of(first_instance(model, i), model);
      most = most.value_or(size_of(candidate.cost) * kMaxOversize);
      if (size_of(candidate.cost) > *most) continue;
      admit(candidate);
    }
  }

  static fleet::SliceShape first_instance(const GpuModel& model, std::size_t profile) {
    const auto instances = model.layouts.instances_of(profile);
    return fleet::MigSlice{static_cast<catalog::InstanceIndex>(std::countr_zero(instances))};
  }

  void add_vgpu(Candidate candidate, const GpuModel& model) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < model.vgpu_types.size(); ++i) {
      const auto& type = model.vgpu_types[i];
      largest_.offer({type.framebuffer, type.name, "", ""});
      // A type's promise of compute is its share when the GPU is full.
      const Sms promised(model.sms.count() / type.max_per_gpu);
      const bool compute = need_.sms.count() > 0 ? promised >= need_.sms
                                                 : 1000 >= need_.compute.count() * type.max_per_gpu;
      if (type.framebuffer < need_.memory || !compute) continue;
      if (!best || type.framebuffer < model.vgpu_types[*best].framebuffer) best = i;
    }
    if (!best) return;
    candidate.vgpu_type = static_cast<std::uint16_t>(*best);
    candidate.cost = fleet::cost_of(fleet::VgpuSlice{candidate.vgpu_type}, model);
    admit(candidate);
  }

  void add_share(Candidate candidate, const GpuModel& model) {
    auto& share = candidate.share;
    share = tier_.share_of(need_.memory, MilliShare(1000));
    // `limited` enforces memory, so every tenant needs an amount: by default an equal part.
    if (share.memory.count() == 0 && tier_.isolation >= catalog::Isolation::kLimited)
      share.memory = MiB(model.memory.count() / tier_.oversubscription);
    if (need_.compute.count() > 0) share.compute = need_.compute;
    if (need_.sms.count() > 0) {
      if (model.sms < need_.sms) return;
      share.compute =
          MilliShare((need_.sms.count() * 1000 + model.sms.count() - 1) / model.sms.count());
    }
    largest_.offer({model.memory, "a share", " of ", model.key});
    if (share.memory > model.memory && share.memory.count() > 0) return;
    candidate.cost = fleet::cost_of(share, model);
    admit(candidate);
  }

  void add_whole(Candidate candidate, const GpuModel& model) {
    largest_.offer({model.memory, "a whole ", "", model.key});
    if (need_.memory > model.memory || need_.sms > model.sms) return;
    candidate.cost = fleet::cost_of(fleet::WholeSlice{}, model);
    admit(candidate);
  }

  /// Keeps a candidate that some node could hold when empty and the team's limit allows.
  void admit(const Candidate& candidate) {
    const auto& pool = world_.fleet.pool(candidate.pool);
    if (!nodes_could_hold(candidate, pool)) return;
    if (limit_ != nullptr && !times(candidate.cost, need_.slices()).within(*limit_)) {
      over_limit_ = true;
      return;
    }
    found_.push_back(candidate);
  }

  /// Are there nodes enough? Notes what they lack.
  bool nodes_could_hold(const Candidate& candidate, const Pool& pool) {
    if (any_nodes_) return true;
    const auto& model = world_.catalog.model(pool.model);
    const auto per_gpu = room(model, pool, empty_gpu(pool), candidate);
    const HostNeed host{need_.cpu, need_.host_memory};
    int large = 0, linked = 0;
    for (const auto& [shape, nodes] : world_.nodes.shapes_of(candidate.pool)) {
      if (!shape.could_hold(host) || per_gpu * static_cast<std::int64_t>(shape.gpus) < need_.count)
        continue;
      large += nodes;
      if (!need_.linked() || shape.linked >= static_cast<std::size_t>(need_.count)) linked += nodes;
    }
    if (large == 0)
      node_too_small_ = true;
    else if (linked == 0)
      no_link_ = true;
    else if (linked < need_.nodes)
      too_few_nodes_ = true;
    return linked >= need_.nodes;
  }

  const MatchWorld& world_;
  const Need& need_;
  const Tier& tier_;
  bool any_nodes_;
  const Cost* limit_ = nullptr;  ///< of the team in the pool that is looked at; null: none
  std::vector<Candidate> found_;
  Largest largest_;
  bool isolation_met_ = false;
  bool over_limit_ = false;
  bool node_too_small_ = false;
  bool too_few_nodes_ = false;
  bool no_link_ = false;
};

Result<std::vector<const Tier*>> eligible_tiers(const MatchWorld& world, const Need& need) {
  if (!need.tier.empty() && !world.tiers.contains(need.tier))
    return fail(Reason::kUnknownObject, "there is no tier \"" + need.tier + "\"", "spec.tier",
                "see `tessera get tiers`");
  std::vector<const Tier*> tiers;
  tiers.reserve(world.tiers.size());
  for (const auto& [name, tier] : world.tiers)
    if ((need.tier.empty() || name == need.tier) && tier.admits(world.team.name))
      tiers.push_back(&tier);
  if (tiers.empty())
    return fail(Reason::kNoTier, "no tier admits team " + world.team.name, "spec.tier",
                "ask an administrator, or see `tessera get tiers`");
  std::ranges::sort(tiers, [](const Tier* a, const Tier* b) { return tenancy::lesser(*a, *b); });
  return tiers;
}

Result<void> check_names(const MatchWorld& world, const Need& need) {
  if (!need.pool.empty() && !world.fleet.find_pool(need.pool))
    return fail(Reason::kUnknownObject, "there is no pool \"" + need.pool + "\"", "spec.pool",
                "see `tessera get pools`");
  for (const auto& model : need.models)
    if (!world.catalog.find(model))
      return fail(Reason::kUnknownObject, "there is no GPU model \"" + model + "\"", "spec.models",
                  "see `tessera get pools -o wide` for the models of this fleet");
  return {};
}

/// Why no tier could take the need: gathered over all of them.
struct Misfit {
  bool isolation_met = false;
  bool over_limit = false;
  bool node_too_small = false;
  bool too_few_nodes = false;
  bool no_link = false;
  base::Duration longest{};
  bool too_long = true;  ///< for every tier
  Largest largest;

  std::unexpected<base::Error> text(const MatchWorld& world, const Need& need) const {
    if (too_long)
      return fail(Reason::kInvalidQuantity,
                  "no tier lends for " + base::to_string(need.duration) + ": the longest is " +
                      base::to_string(longest),
                  "spec.duration", "ask for less and renew");
    if (!isolation_met)
      return fail(Reason::kNoTier,
                  "nothing here promises isolation " +
                      std::string(catalog::to_string(need.isolation)) + " to team " +
                      world.team.name,
                  "spec.isolation", "see `tessera get tiers` and the pools that carry them");
    if (over_limit)
      return fail(Reason::kAboveLimit,
                  "it takes more than the limit of team " + world.team.name +
                      ", even if the team held nothing else",
                  "spec", "ask for less, or have the quota raised");
    if (need.linked() && largest.slice.empty())
      return fail(
          Reason::kNeverFits,
          "NVLink is for whole GPUs, and no tier here lends team " + world.team.name + " any",
          "spec.nvlink", "ask with nvlink: preferred");
    if (largest.memory < need.memory)
      return fail(Reason::kNeverFits,
                  "no slice here has " + base::to_string(need.memory) + ": the largest is " +
                      largest.where() + " with " + base::to_string(largest.memory),
                  "spec.memory", "ask for less memory per slice");
    if (too_few_nodes)
      return fail(Reason::kNeverFits,
                  "no pool has " + std::to_string(need.nodes) + " nodes that could each hold " +
                      std::to_string(need.count) + " such slices" +
                      (need.linked() ? ", linked by NVLink" : ""),
                  "spec.nodes", "ask for fewer nodes");
    if (no_link)
      return fail(Reason::kNeverFits,
                  "no node has " + std::to_string(need.count) +
                      " such GPUs that NVLink is said to link all to all",
                  "spec.nvlink",
                  "ask with nvlink: preferred, or declare the links of the nodes that have them");
    if (node_too_small)
      return fail(Reason::kNeverFits,
                  "no node could hold " + std::to_string(need.count) +
                      " such slices with the host CPU and memory asked for",
                  "spec.count", "ask for fewer slices, or split the request");
    return fail(Reason::kNeverFits, "no slice here has that much compute together with that memory",
                "spec", "ask for less compute or memory per slice");
  }
};

}  // namespace

Result<Match> match(const MatchWorld& world, const Need& need) {
  if (auto names = check_names(world, need); !names) return std::unexpected(names.error());
  const auto tiers = eligible_tiers(world, need);
  if (!tiers) return std::unexpected(tiers.error());
  Misfit misfit;
  for (const Tier* tier : *tiers) {
    misfit.longest = std::max(misfit.longest, tier->max_duration);
    if (need.duration > tier->max_duration) continue;
    misfit.too_long = false;
    TierMatch tier_match(world, need, *tier);
    tier_match.collect();
    if (auto candidates = tier_match.take(); !candidates.empty())
      return Match{tier, std::move(candidates)};
    misfit.isolation_met |= tier_match.isolation_met();
    misfit.over_limit |= tier_match.over_limit();
    misfit.node_too_small |= tier_match.node_too_small();
    misfit.too_few_nodes |= tier_match.too_few_nodes();
    misfit.no_link |= tier_match.no_link();
    misfit.largest.offer(tier_match.largest());
  }
  return misfit.text(world, need);
}

bool refuses_for_good(base::Reason reason) {
  return reason == Reason::kUnknownObject || reason == Reason::kNoTier ||
         reason == Reason::kInvalidQuantity || reason == Reason::kAboveLimit ||
         reason == Reason::kNeverFits;
}

std::string name_of(const Candidate& candidate, const GpuModel& model) {
  switch (candidate.technology) {
    case Technology::kMig:
      return model.profiles[candidate.profile].name;
    case Technology::kVgpu:
      return model.vgpu_types[candidate.vgpu_type].name;
    case Technology::kTimeSlicing:
      return fleet::profile_name(candidate.share, model);
    case Technology::kWhole:
      return "whole";
  }
  return {};
}

std::vector<Candidate> candidates_in(const MatchWorld& world, const Tier& tier, const Need& need) {
  TierMatch match(world, need, tier, true);
  match.collect();
  return match.take();
}

}  // namespace tessera::placement
