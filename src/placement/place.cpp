#include "placement/place.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace tessera::placement {
namespace {

using catalog::Technology;
using fleet::Cost;

/// The generations of a GPU's idle MIG slices among `instances`.
std::vector<std::uint64_t> idle_generations(const fleet::Gpu& gpu, catalog::Layout instances) {
  std::vector<std::uint64_t> found;
  for (const auto& slice : gpu.slices) {
    const auto* mig = std::get_if<fleet::MigSlice>(&slice.shape);
    if (mig && slice.phase == fleet::SlicePhase::kIdle && (catalog::bit(mig->instance) & instances))
      found.push_back(slice.generation);
  }
  return found;
}

Grant grant_of(const fleet::Fleet& fleet, const Index::Pick& pick) {
  Grant grant{.gpu = pick.gpu, .shape = pick.fit.shape};
  const auto& gpu = fleet.gpu(pick.gpu);
  if (const auto* mig = std::get_if<fleet::MigSlice>(&pick.fit.shape); mig && !pick.fit.creates)
    grant.reuses = idle_generations(gpu, catalog::bit(mig->instance)).at(0);
  grant.retires = idle_generations(gpu, pick.fit.retires);
  // A GPU that leaves vGPU or MIG altogether gives up whatever else is idle on it.
  return grant;
}

/// Tries one candidate. Remembers why it fails, over all candidates.
class Attempt {
 public:
  Attempt(const World& world, const Match& match, const request::Need& need)
      : world_(world), match_(match), need_(need), host_{need.cpu, need.host_memory} {}

  std::expected<Spot, Refusal> run() {
    const auto& all = match_.candidates;
    for (auto first = all.begin(); first != all.end();) {
      const auto end = std::find_if(first, all.end(), [&](const Candidate& candidate) {
        return candidate.group != first->group;
      });
      if (const auto tightest = tightest_of(first, end))
        return spot(*tightest->candidate, tightest->picks);
      first = end;
    }
    return std::unexpected(refusal());
  }

 private:
  /// What is left around a place: the node's empty GPUs for whole ones, the GPU's future options
  /// for slices; then the host's CPU and memory.
  using Slack = std::tuple<std::int64_t, bool, base::MilliCpu, base::MiB>;
  struct Choice {
    const Candidate* candidate = nullptr;
    std::vector<Index::Pick> picks;
    Slack slack;
  };
  using CandidateAt = std::vector<Candidate>::const_iterator;

  /// The best of equally good candidates; of equal places that of the first.
  std::optional<Choice> tightest_of(CandidateAt first, CandidateAt end) {
    std::optional<Choice> best;
    for (auto it = first; it != end; ++it) {
      auto found = picks(*it, host_);
      if (!found) continue;
      if (!within_limit(world_, *it, need_.count)) {
        over_quota_ = true;
        continue;
      }
      const auto slack = slack_of(*it, found->front());
      if (!best || slack < best->slack) best = Choice{&*it, std::move(*found), slack};
    }
    return best;
  }

  Slack slack_of(const Candidate& candidate, const Index::Pick& pick) const {
    const auto& fleet = world_.fleet;
    const auto& node = fleet.node(fleet.gpu(pick.gpu).node);
    std::int64_t left = pick.fit.loss;
    if (candidate.technology == Technology::kWhole)
      left = std::ranges::count_if(node.gpus, [&](fleet::GpuIndex gpu) {
        return world_.index.open(gpu) && occupancy_of(fleet.gpu(gpu)).empty();
      });
    // What is not counted never runs out.
    const base::MilliCpu cpu(node.cpu.count() == 0 ? base::MilliCpu::kLargest
                                                   : (node.cpu - node.cpu_used).count());
    const base::MiB memory(node.memory.count() == 0 ? base::MiB::kLargest
                                                    : (node.memory - node.memory_used).count());
    return {left, pick.fit.creates, cpu, memory};
  }

  std::optional<std::vector<Index::Pick>> picks(const Candidate& candidate, HostNeed host) const {
    if (candidate.technology == Technology::kWhole) return whole(candidate, host);
    if (need_.count == 1) {
      if (auto pick = world_.index.pick(world_.fleet, world_.catalog, candidate, host))
        return std::vector{std::move(*pick)};
      return std::nullopt;
    }
    std::optional<std::vector<Index::Pick>> found;
    world_.index.any_node(world_.fleet, world_.catalog, candidate, host,
                          [&](fleet::NodeIndex node) {
                            found = pack_node(candidate, node);
                            return found.has_value();
                          });
    return found;
  }

  std::optional<std::vector<Index::Pick>> whole(const Candidate& candidate, HostNeed host) const {
    const auto node = world_.index.pick_empty(candidate.pool, need_.count, host);
    if (!node) return std::nullopt;
    return pack_node(candidate, *node);
  }

  std::optional<std::vector<Index::Pick>> pack_node(const Candidate& candidate,
                                                    fleet::NodeIndex node) const {
    const auto& pool = world_.fleet.pool(candidate.pool);
    std::vector<NodeGpu> gpus;
    for (const auto gpu : world_.fleet.node(node).gpus)
      if (world_.index.open(gpu)) gpus.push_back({gpu, occupancy_of(world_.fleet.gpu(gpu))});
    return pack(world_.catalog.model(pool.model), pool, std::move(gpus), candidate, need_.count);
  }

  Spot spot(const Candidate& candidate, const std::vector<Index::Pick>& picks) const {
    Spot spot{.tier = match_.tier->name, .pool = candidate.pool};
    for (const auto& pick : picks) {
      spot.grants.push_back(grant_of(world_.fleet, pick));
      spot.cost += candidate.cost;
    }
    spot.node = world_.fleet.gpu(picks.front().gpu).node;
    return spot;
  }

  Refusal refusal() const {
    if (over_quota_)
      return {Reason::kQuotaReached,
              "there is room, but the limit of team " + world_.team.name + " is reached"};
    const bool host_asked = host_.cpu.count() > 0 || host_.memory.count() > 0;
    bool host_only = false, enough_free = false, any_open = false, quota_only = true;
    for (const auto& candidate : match_.candidates) {
      if (!within_limit(world_, candidate, need_.count)) continue;
      quota_only = false;
      const auto totals = world_.index.totals(candidate.pool);
      any_open |= totals.open > 0;
      const Cost all{candidate.cost.compute * need_.count, candidate.cost.memory * need_.count};
      enough_free |= all.within(totals.free);
      host_only |= host_asked && picks(candidate, HostNeed{}).has_value();
    }
    if (quota_only)
      return {Reason::kQuotaReached, "the limit of team " + world_.team.name + " is reached"};
    if (host_only)
      return {Reason::kHostResources, "GPUs have room, but their nodes lack host CPU or memory"};
    if (enough_free) return {Reason::kFragmented, "enough is free in total, but not in one piece"};
    if (!any_open)
      return {Reason::kNodesAway, "every GPU that could hold it is away, cordoned or quarantined"};
    return {Reason::kNoCapacity, "every GPU that could hold it is full"};
  }

  const World& world_;
  const Match& match_;
  const request::Need& need_;
  HostNeed host_;
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

std::optional<std::vector<Index::Pick>> pack(const catalog::GpuModel& model,
                                             const fleet::Pool& pool, std::vector<NodeGpu> gpus,
                                             const Candidate& candidate, int count) {
  std::vector<Index::Pick> picks;
  for (int i = 0; i < count; ++i) {
    NodeGpu* best = nullptr;
    std::optional<Fit> best_fit;
    // Fullest first: GPUs in use before empty ones, then the least loss.
    const auto rank = [](const NodeGpu& at, const Fit& found) {
      return std::tuple(at.occupancy.empty(), found.loss, found.creates, at.gpu);
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

std::expected<Spot, Refusal> place(const World& world, const Match& match,
                                   const request::Need& need) {
  return Attempt(world, match, need).run();
}

}  // namespace tessera::placement
