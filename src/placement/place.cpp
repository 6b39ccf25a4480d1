#include "placement/place.h"

#include <algorithm>
#include <utility>

namespace tessera::placement {
namespace {

using catalog::Technology;
using fleet::Cost;

/// The generations of a GPU's idle MIG slices among `instances`.
std::vector<std::uint64_t> idle_generations(const fleet::Gpu& gpu, catalog::Layout instances) {
  std::vector<std::uint64_t> found;
  if (instances == 0) return found;
  for (const auto& slice : gpu.slices) {
    const auto* mig = std::get_if<fleet::MigSlice>(&slice.shape);
    if (mig && slice.phase == fleet::SlicePhase::kIdle && (catalog::bit(mig->instance) & instances))
      found.push_back(slice.generation);
  }
  return found;
}

Grant grant_of(const fleet::Fleet& fleet, const Pick& pick) {
  Grant grant{.gpu = pick.gpu, .shape = pick.fit.shape};
  const auto& gpu = fleet.gpu(pick.gpu);
  if (const auto* mig = std::get_if<fleet::MigSlice>(&pick.fit.shape); mig && !pick.fit.creates)
    grant.reuses = idle_generations(gpu, catalog::bit(mig->instance)).at(0);
  // All that is idle there, if the GPU leaves MIG altogether (fit.cpp).
  grant.retires = idle_generations(gpu, pick.fit.retires);
  return grant;
}

/// Tries candidates. Remembers why they fail.
class Attempt {
 public:
  Attempt(const World& world, const Match& match, const request::Need& need)
      : world_(world),
        match_(match),
        need_(need),
        host_{need.cpu, need.host_memory},
        linked_(need.linked()),
        rankings_(world.rankings != nullptr ? *world.rankings : own_rankings_.emplace()) {}

  std::expected<Spot, Refusal> run() {
    const auto& all = match_.candidates;
    for (auto first = all.begin(); first != all.end();) {
      const auto end = std::find_if(first, all.end(), [&](const Candidate& candidate) {
        return candidate.group != first->group;
      });
      if (const auto best = best_of(first, end)) return spot(*best);
      first = end;
    }
    return std::unexpected(refusal());
  }

 private:
  /// A place that was found, before its GPUs are picked.
  struct Choice {
    const Candidate* candidate = nullptr;
    double harm = 0;
    std::optional<Pick> gpu;             ///< the place, or
    fleet::NodeIndex node;               ///< the node on which it is, or
    std::vector<fleet::NodeIndex> gang;  ///< the nodes
  };
  using CandidateAt = std::vector<Candidate>::const_iterator;

  /// The least harm of equally good candidates; of equal places that of the first.
  std::optional<Choice> best_of(CandidateAt first, CandidateAt end) {
    std::optional<Choice> best;
    for (auto it = first; it != end; ++it) {
      auto found = find(*it, {*it, need_.count, host_, linked_});
      if (!found) continue;
      if (!within_limit(world_, *it, need_.slices())) {
        over_quota_ = true;
        continue;
      }
      if (end - first > 1) found->harm += scarcity(*it);
      if (!best || found->harm < best->harm) best = std::move(found);
    }
    return best;
  }

  /// Where GPUs are all that counts, their classes know the place; else the nodes are ranked.
  std::optional<Choice> find(const Candidate& candidate, const NodeNeed& part) const {
    const bool by_options =
        candidate.technology == Technology::kMig || candidate.technology == Technology::kVgpu;
    const auto& index = world_.index;
    if (by_options && need_.slices() == 1 &&
        (part.host.nothing() || !index.nodes().counts_host(candidate.pool))) {
      const auto& pool = world_.fleet.pool(candidate.pool);
      auto pick = index.gpu_classes().pick(world_.catalog.model(pool.model), pool, candidate);
      if (!pick) return std::nullopt;
      const auto harm = loss_of(pick->fit);
      return Choice{&candidate, harm, std::move(pick), {}, {}};
    }
    if (need_.nodes == 1) {
      const auto best = rankings_.best(world_.view(), part);
      if (!best) return std::nullopt;
      return Choice{&candidate, best->loss, std::nullopt, best->node, {}};
    }
    const auto wanted = static_cast<std::size_t>(need_.nodes);
    const auto parts = rankings_.first(world_.view(), part, wanted);
    if (parts.size() < wanted) return std::nullopt;
    Choice choice{&candidate, 0, std::nullopt, {}, {}};
    for (const auto& one : parts) {
      choice.harm += one.loss;
      choice.gang.push_back(one.node);
    }
    return choice;
  }

  double scarcity(const Candidate& candidate) const {
    if (candidate.technology == Technology::kMig || candidate.technology == Technology::kVgpu)
      return 0;
    const auto& model = world_.catalog.model(world_.fleet.pool(candidate.pool).model);
    const auto gpus = static_cast<double>(need_.slices() * gpu_part(candidate, model)) / 1000;
    return world_.index.price(candidate.pool) * gpus;
  }

  Spot spot(const Choice& choice) const {
    const auto& candidate = *choice.candidate;
    Spot spot{.tier = match_.tier->name, .pool = candidate.pool};
    const auto take = [&](const Pick& pick) {
      spot.grants.push_back(grant_of(world_.fleet, pick));
      spot.cost += candidate.cost;
    };
    const auto take_on = [&](fleet::NodeIndex node) {
      for (const auto& pick :
           picks_on(world_.view(), {candidate, need_.count, host_, linked_}, node))
        take(pick);
    };
    if (choice.gpu)
      take(*choice.gpu);
    else if (choice.gang.empty())
      take_on(choice.node);
    for (const auto node : choice.gang) take_on(node);
    spot.node = world_.fleet.gpu(spot.grants.front().gpu).node;
    return spot;
  }

  Refusal refusal() const {
    if (over_quota_)
      return {Reason::kQuotaReached,
              "there is room, but the limit of team " + world_.team.name + " is reached"};
    const bool host_asked = host_.cpu.count() > 0 || host_.memory.count() > 0;
    bool host_only = false, enough_free = false, any_open = false, quota_only = true;
    bool links_only = false;
    for (const auto& candidate : match_.candidates) {
      if (!within_limit(world_, candidate, need_.slices())) continue;
      quota_only = false;
      const auto totals = world_.index.totals(candidate.pool);
      any_open |= totals.open > 0;
      const Cost all{candidate.cost.compute * need_.slices(),
                     candidate.cost.memory * need_.slices()};
      enough_free |= all.within(totals.free);
      host_only |= host_asked && find(candidate, {candidate, need_.count, {}, linked_});
      links_only |= linked_ && find(candidate, {candidate, need_.count, host_, false});
    }
    if (quota_only)
      return {Reason::kQuotaReached, "the limit of team " + world_.team.name + " is reached"};
    if (host_only)
      return {Reason::kHostResources, "GPUs have room, but their nodes lack host CPU or memory"};
    if (links_only)
      return {Reason::kFragmented, "enough GPUs are free, but NVLink does not link them all"};
    if (enough_free && need_.nodes > 1)
      return {Reason::kFragmented, "enough is free in total, but not on so many nodes at once"};
    if (enough_free) return {Reason::kFragmented, "enough is free in total, but not in one piece"};
    if (!any_open)
      return {Reason::kNodesAway, "every GPU that could hold it is away, cordoned or quarantined"};
    return {Reason::kNoCapacity, "every GPU that could hold it is full"};
  }

  const World& world_;
  const Match& match_;
  const request::Need& need_;
  HostNeed host_;
  bool linked_;
  std::optional<NodeRankings> own_rankings_;
  NodeRankings& rankings_;
  bool over_quota_ = false;
};

}  // namespace

bool within_limit(const World& world, const Candidate& candidate, int count) {
  const auto* quota = world.team.quota(world.fleet.pool(candidate.pool).name);
  if (quota == nullptr || !quota->limit) return true;
  Cost after{candidate.cost.compute * count, candidate.cost.memory * count};
  if (candidate.pool.value() < world.use.size()) after += world.use[candidate.pool.value()];
  return after.within(*quota->limit);
}

std::expected<Spot, Refusal> place(const World& world, const Match& match,
                                   const request::Need& need) {
  return Attempt(world, match, need).run();
}

std::optional<fleet::NodeIndex> place_beside(const World& world, HostNeed need) {
  NodeRankings own_rankings;
  auto& rankings = world.rankings != nullptr ? *world.rankings : own_rankings;
  std::optional<NodeRankings::Best> best;
  for (std::size_t i = 0; i < world.fleet.pools().size(); ++i) {
    const Candidate nothing{.pool = fleet::PoolIndex(i), .technology = Technology::kWhole};
    const auto found = rankings.best(world.view(), {nothing, 0, need});
    if (found && (!best || found->loss < best->loss)) best = found;
  }
  if (!best) return std::nullopt;
  return best->node;
}

}  // namespace tessera::placement
