#include "placement/index.h"

#include <utility>

namespace tessera::placement {
namespace {

using fleet::Fleet;
using fleet::GpuIndex;
using fleet::NodeIndex;
using fleet::PoolIndex;

fleet::Cost free_part(const fleet::Gpu& gpu, const catalog::GpuModel& model) {
  fleet::Cost free{base::kWholeGpu, base::kWholeGpu};
  for (const auto& slice : gpu.slices)
    if (slice.phase != fleet::SlicePhase::kIdle) free -= fleet::cost_of(slice.shape, model);
  return free;
}

}  // namespace

void Index::refresh(GpuIndex index, const Fleet& fleet, const catalog::Catalog& catalog) {
  const auto& gpu = fleet.gpu(index);
  if (!gpu.node.valid()) return drop(index);  // a removed GPU
  const auto& node = fleet.node(gpu.node);
  if (!nodes_.knows(gpu.node)) nodes_.put(gpu.node, node);
  const bool open = node.open() && gpu.health == fleet::Health::kHealthy;
  bool changed = false;
  if (open) {
    const auto& pool = fleet.pool(node.pool);
    const auto& model = catalog.model(pool.model);
    changed = gpu_classes_.put(index, node.pool, fleet::occupancy_of(gpu), model, pool);
    if (changed) count(index, {node.pool, true, free_part(gpu, model)});
  } else {
    changed = gpu_classes_.remove(index);
    count(index, {node.pool, false, {}});
  }
  if (changed) nodes_.touch(gpu.node);
}

void Index::refresh_host(NodeIndex node, const Fleet& fleet) {
  nodes_.put(node, fleet.node(node));
}

void Index::refresh_node(NodeIndex node, const Fleet& fleet, const catalog::Catalog& catalog) {
  refresh_host(node, fleet);
  for (const auto gpu : fleet.node(node).gpus) refresh(gpu, fleet, catalog);
}

void Index::refresh_pool(PoolIndex pool, const Fleet& fleet, const catalog::Catalog& catalog) {
  for (const auto node : fleet.nodes_of(pool))
    for (const auto gpu : fleet.node(node).gpus) drop(gpu);
  gpu_classes_.forget(pool);
  for (const auto node : fleet.nodes_of(pool)) refresh_node(node, fleet, catalog);
}

void Index::remove_node(NodeIndex index, const Fleet& fleet) {
  for (const auto gpu : fleet.node(index).gpus) drop(gpu);
  nodes_.remove(index);
}

void Index::retune(const DemandPicture& typical, const Fleet& fleet,
                   const catalog::Catalog& catalog, const Tiers& tiers) {
  totals_.resize(fleet.pools().size());
  free_.resize(fleet.pools().size());
  const tenancy::Team anyone;
  worth_.rebuild({catalog, fleet, nodes_, tiers, anyone}, typical);
  ++tuning_;
}

void Index::rebuild(const DemandPicture& typical, const Fleet& fleet,
                    const catalog::Catalog& catalog, const Tiers& tiers) {
  *this = Index();
  for (std::size_t i = 0; i < fleet.nodes().size(); ++i)
    if (!fleet.nodes()[i].name.empty()) refresh_node(NodeIndex(i), fleet, catalog);
  retune(typical, fleet, catalog, tiers);
}

void Index::drop(GpuIndex gpu) {
  gpu_classes_.remove(gpu);
  count(gpu, {});
}

/// Replaces what a GPU adds to its pool's totals.
void Index::count(GpuIndex gpu, const GpuEntry& now) {
  if (gpu.value() >= gpus_.size()) gpus_.resize(gpu.value() + 1);
  const auto add = [&](const GpuEntry& entry, int sign) {
    if (!entry.pool.valid()) return;
    if (entry.pool.value() >= totals_.size()) {
      totals_.resize(entry.pool.value() + 1);
      free_.resize(entry.pool.value() + 1);
    }
    auto& totals = totals_[entry.pool.value()];
    (entry.open ? totals.open : totals.away) += sign;
    totals.free.compute += entry.free.compute * sign;
    totals.free.memory += entry.free.memory * sign;
    free_[entry.pool.value()] = totals.free.compute;
  };
  add(std::exchange(gpus_[gpu.value()], now), -1);
  add(now, 1);
}

std::string Index::difference(const Index& other, const Fleet& fleet) const {
  for (std::size_t i = 0; i < fleet.gpus().size(); ++i) {
    const GpuIndex gpu(i);
    const auto *mine = gpu_classes_.of(gpu), *theirs = other.gpu_classes_.of(gpu);
    const bool alike = mine == nullptr || theirs == nullptr
                           ? mine == theirs
                           : mine->pool == theirs->pool && mine->occupancy == theirs->occupancy &&
                                 mine->free == theirs->free;
    if (!alike) return "the class of GPU " + std::to_string(i) + " differs";
  }
  if (classes() != other.classes()) return "the number of classes differs";
  for (std::size_t i = 0; i < fleet.nodes().size(); ++i)
    if (!nodes_.alike(NodeIndex(i), other.nodes_))
      return "what node " + fleet.nodes()[i].name + " has left differs";
  for (std::size_t i = 0; i < fleet.pools().size(); ++i) {
    const PoolIndex pool(i);
    const auto& name = fleet.pools()[i].name;
    if (totals(pool) != other.totals(pool)) return "the totals of pool " + name + " differ";
    if (price(pool) != other.price(pool)) return "the price of pool " + name + " differs";
    if (nodes_.shapes_of(pool) != other.nodes_.shapes_of(pool))
      return "the kinds of nodes of pool " + name + " differ";
  }
  return {};
}

Index::Totals Index::totals(PoolIndex pool) const {
  return pool.value() < totals_.size() ? totals_[pool.value()] : Totals{};
}

double Index::price(PoolIndex pool) const {
  return worth_.price(pool, free_);
}

}  // namespace tessera::placement
