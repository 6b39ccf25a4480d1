#pragma once

#include <algorithm>
#include <memory>
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
  }

  void add_pool(const std::string& name, const std::string& model, int nodes, int gpus,
                base::MilliCpu cpu = {}, base::MiB memory = {}) {
    using catalog::Technology;
    fleet::Pool pool{.name = name,
                     .model = *catalog_.find(model),
                     .tiers = {"production", "development"},
                     .technologies = {Technology::kTimeSlicing, Technology::kWhole}};
    if (catalog_.model(pool.model).mig_capable())
      pool.technologies = {Technology::kTimeSlicing, Technology::kMig, Technology::kWhole};
    const auto index = fleet_.put_pool(pool);
    for (int i = 0; i < nodes; ++i) {
      fleet::Node node{.name = name + "-" + std::to_string(i),
                       .pool = index,
                       .phase = fleet::NodePhase::kReady,
                       .cpu = cpu,
                       .memory = memory};
      index_.refresh_node(fleet_.add_node(node, gpus), fleet_, catalog_);
    }
  }

  void limit(const std::string& pool, base::GpuFraction most) {
    team_.quotas[pool].limit = fleet::Cost{most, most};
  }

  World world() const { return {catalog_, fleet_, index_, tiers_, team_, use_}; }

  base::Result<Match> match(const request::Need& need) const {
    return placement::match(world().for_matching(), need);
  }
  std::expected<Spot, Refusal> place(const request::Need& need) const {
    const auto matched = match(need);
    if (!matched) return std::unexpected(Refusal{matched.error().reason, matched.error().what});
    return placement::place(world(), *matched, need);
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
    auto& node = fleet_.node(spot.node);
    node.cpu_used += cpu;
    node.memory_used += memory;
    index_.refresh_node(spot.node, fleet_, catalog_);
    if (use_.size() <= spot.pool.value()) use_.resize(spot.pool.value() + 1);
    use_[spot.pool.value()] += spot.cost;
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

  /// The slow, obvious answer for a need of one slice.
  bool some_gpu_fits(const request::Need& need) const {
    const auto matched = match(need);
    if (!matched) return false;
    for (const auto& candidate : matched->candidates)
      for (const auto node : fleet_.nodes_of(candidate.pool))
        for (const auto gpu : fleet_.node(node).gpus) {
          const auto& pool = fleet_.pool(candidate.pool);
          if (fit(catalog_.model(pool.model), pool, fleet::occupancy_of(fleet_.gpu(gpu)),
                  candidate))
            return true;
        }
    return false;
  }

  /// Does an index built from nothing say the same?
  bool index_is_fresh() const {
    Index fresh;
    fresh.rebuild(fleet_, catalog_);
    for (std::size_t i = 0; i < fleet_.pools().size(); ++i)
      if (fresh.totals(fleet::PoolIndex(i)) != index_.totals(fleet::PoolIndex(i))) return false;
    return fresh.classes() == index_.classes();
  }

  const catalog::Catalog& catalog() const { return catalog_; }
  const fleet::Fleet& fleet() const { return fleet_; }

 private:
  catalog::Catalog catalog_ = catalog::Catalog::built_in();
  fleet::Fleet fleet_;
  Index index_;
  Tiers tiers_;
  tenancy::Team team_;
  UseByPool use_;
  std::uint64_t leases_ = 0;
};

}  // namespace tessera::placement
