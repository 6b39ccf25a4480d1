#pragma once

#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include "base/random.h"
#include "placement/explain.h"
#include "placement/place.h"

namespace tessera::placement {

/// A fleet for tests, with the default tiers and one team: everything granted stays until freed,
/// and every node is ready from the start.
class TestFleet {
 public:
  TestFleet() {
    for (auto& tier : tenancy::default_tiers()) tiers_.emplace(tier.name, tier);
    team_.name = "vision";
    retune();
  }

  void add_pool(const std::string& name, const std::string& model, int nodes, int gpus,
                base::MilliCpu cpu = {}, base::MiB memory = {}, const fleet::Islands& nvlink = {}) {
    using catalog::Technology;
    fleet::Pool pool{.name = name,
                     .model = *catalog_.find(model),
                     .tiers = {"production", "development"},
                     .technologies = {Technology::kTimeSlicing, Technology::kWhole}};
    if (catalog_.model(pool.model).mig_capable())
      pool.technologies = {Technology::kTimeSlicing, Technology::kMig, Technology::kWhole};
    const auto index = fleet_.put_pool(pool);
    retune();
    for (int i = 0; i < nodes; ++i) {
      fleet::Node node{.name = name + "-" + std::to_string(i),
                       .pool = index,
                       .phase = fleet::NodePhase::kReady,
                       .cpu = cpu,
                       .memory = memory,
                       .nvlink = nvlink};
      index_.refresh_node(fleet_.add_node(node, gpus), fleet_, catalog_);
    }
  }

  void limit(const std::string& pool, base::GpuFraction most) {
    team_.quotas[pool].limit = fleet::Cost{most, most};
  }

  World world() const { return {catalog_, fleet_, index_, tiers_, team_, use_, &rankings_}; }

  base::Result<Match> match(const request::Need& need) const {
    return placement::match(world().for_matching(), need);
  }
  std::expected<Spot, Refusal> place(const request::Need& need) const {
    const auto matched = match(need);
    if (!matched) return std::unexpected(Refusal{matched.error().reason, matched.error().what});
    return placement::place(world(), *matched, need);
  }
  /// The same from an index built anew, with nothing remembered.
  std::expected<Spot, Refusal> place_afresh(const request::Need& need) const {
    Index fresh;
    fresh.rebuild(demand_.typical(), fleet_, catalog_, tiers_);
    const World world{catalog_, fleet_, fresh, tiers_, team_, use_};
    const auto matched = placement::match(world.for_matching(), need);
    if (!matched) return std::unexpected(Refusal{matched.error().reason, matched.error().what});
    return placement::place(world, *matched, need);
  }
  Explanation explain(const request::Need& need) const {
    return placement::explain(world(), need, {}, need.tier);
  }

  void grant(const Spot& spot, base::MilliCpu cpu = {}, base::MiB memory = {}) {
    for (const auto& grant : spot.grants) {
      auto& gpu = fleet_.gpu(grant.gpu);
      std::erase_if(gpu.slices, [&](const fleet::Slice& slice) {
        return slice.generation == grant.reuses ||
               std::ranges::find(grant.retires, slice.generation) != grant.retires.end();
      });
      gpu.slices.push_back({grant.shape,
                            fleet::SlicePhase::kInUse,
                            ++gpu.generation,
                            fleet::LeaseId(++leases_),
                            {}});
      index_.refresh(grant.gpu, fleet_, catalog_);
    }
    for (const auto index : nodes_of(spot)) {
      auto& node = fleet_.node(index);
      node.cpu_used += cpu;
      node.memory_used += memory;
      index_.refresh_host(index, fleet_);
    }
    if (use_.size() <= spot.pool.value()) use_.resize(spot.pool.value() + 1);
    use_[spot.pool.value()] += spot.cost;
  }

  std::set<fleet::NodeIndex> nodes_of(const Spot& spot) const {
    std::set<fleet::NodeIndex> nodes;
    for (const auto& grant : spot.grants) nodes.insert(fleet_.gpu(grant.gpu).node);
    return nodes;
  }

  /// Ends some held slice; a MIG instance stays behind, idle, half of the time.
  void free_one(base::Random& random) {
    std::vector<std::pair<fleet::GpuIndex, std::uint64_t>> held;
    for (std::size_t i = 0; i < fleet_.gpus().size(); ++i)
      for (const auto& slice : fleet_.gpus()[i].slices)
        if (slice.phase != fleet::SlicePhase::kIdle)
          held.emplace_back(fleet::GpuIndex(i), slice.generation);
    if (held.empty()) return;
    const auto [index, generation] = held[random.below(held.size())];
    auto& gpu = fleet_.gpu(index);
    auto* slice = gpu.find(generation);
    if (std::holds_alternative<fleet::MigSlice>(slice->shape) && random.chance(1, 2))
      slice->phase = fleet::SlicePhase::kIdle;
    else
      std::erase_if(gpu.slices, [&](const fleet::Slice& s) { return s.generation == generation; });
    index_.refresh(index, fleet_, catalog_);
  }

  /// The slow, obvious answer: slice by slice, on every node.
  bool some_node_fits(const request::Need& need) const {
    const auto matched = match(need);
    if (!matched) return false;
    for (const auto& candidate : matched->candidates) {
      int nodes = 0;
      for (const auto node : fleet_.nodes_of(candidate.pool))
        nodes += fits(candidate, need, fleet_.node(node)) ? 1 : 0;
      if (nodes >= need.nodes) return true;
    }
    return false;
  }

  /// The most free GPUs that one island of the node has.
  int most_linked(fleet::NodeIndex node) const {
    int most = 0;
    for (const auto& island : fleet_.node(node).nvlink) {
      int free = 0;
      for (const auto number : island) {
        const auto gpu = fleet_.node(node).gpus[number];
        free += index_.open(gpu) && fleet::occupancy_of(fleet_.gpu(gpu)).empty() ? 1 : 0;
      }
      most = std::max(most, free);
    }
    return most;
  }

  /// The least that any node loses by the need's first candidate, by looking at every one.
  std::optional<double> least_loss(const request::Need& need) const {
    const auto matched = match(need);
    std::optional<double> least;
    if (!matched) return least;
    const NodeView view{catalog_, fleet_, index_};
    const NodeNeed wanted{
        matched->candidates.front(), need.count, {need.cpu, need.host_memory}, need.linked()};
    for (const auto node : fleet_.nodes_of(wanted.slice.pool)) {
      auto look = look_at(view, node);
      const auto loss = loss_on(view, wanted, node, look);
      if (loss && (!least || *loss < *least)) least = loss;
    }
    return least;
  }
  std::optional<NodeRankings::Best> best_ranked(const request::Need& need) const {
    const auto matched = match(need);
    if (!matched) return std::nullopt;
    return rankings_.best(
        {catalog_, fleet_, index_},
        {matched->candidates.front(), need.count, {need.cpu, need.host_memory}, need.linked()});
  }

  /// A request arrives: what is typical may change.
  void observe(const request::Need& need) {
    const auto matched = match(need);
    if (matched && demand_.observe(need, matched->tier->name)) retune();
  }

  /// A node goes out of service or comes back.
  void turn_node(base::Random& random) {
    const fleet::NodeIndex node(random.below(fleet_.nodes().size()));
    fleet_.node(node).cordoned = !fleet_.node(node).cordoned;
    index_.refresh_node(node, fleet_, catalog_);
  }

  /// Does an index built from nothing say the same?
  bool index_is_fresh() const {
    Index fresh;
    fresh.rebuild(demand_.typical(), fleet_, catalog_, tiers_);
    for (std::size_t i = 0; i < fleet_.pools().size(); ++i)
      if (fresh.totals(fleet::PoolIndex(i)) != index_.totals(fleet::PoolIndex(i))) return false;
    return fresh.classes() == index_.classes();
  }

  const catalog::Catalog& catalog() const { return catalog_; }
  const fleet::Fleet& fleet() const { return fleet_; }

 private:
  bool fits(const Candidate& candidate, const request::Need& need, const fleet::Node& node) const {
    if (!node.open()) return false;
    if (node.cpu.count() > 0 && node.cpu - node.cpu_used < need.cpu) return false;
    if (node.memory.count() > 0 && node.memory - node.memory_used < need.host_memory) return false;
    if (need.linked() && most_linked(*fleet_.find_node(node.name)) < need.count) return false;
    const auto& pool = fleet_.pool(candidate.pool);
    const auto& model = catalog_.model(pool.model);
    int slices = 0;
    for (const auto gpu : node.gpus) {
      auto occupancy = fleet::occupancy_of(fleet_.gpu(gpu));
      while (const auto next = fit(model, pool, occupancy, candidate)) {
        occupancy = with(occupancy, *next);
        ++slices;
      }
    }
    return slices >= need.count;
  }

  void retune() { index_.retune(demand_.typical(), fleet_, catalog_, tiers_); }

  catalog::Catalog catalog_ = catalog::Catalog::built_in();
  fleet::Fleet fleet_;
  Index index_;
  Demand demand_;
  mutable NodeRankings rankings_;
  Tiers tiers_;
  tenancy::Team team_;
  UseByPool use_;
  std::uint64_t leases_ = 0;
};

}  // namespace tessera::placement
