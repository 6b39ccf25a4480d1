#include "placement/index.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/check.h"

namespace tessera::placement {
namespace {

using catalog::Technology;
using fleet::Fleet;
using fleet::GpuIndex;
using fleet::Node;
using fleet::NodeIndex;
using fleet::PoolIndex;

/// Host resources that are not counted never run out.
constexpr auto kUncounted = std::numeric_limits<std::int64_t>::max();

/// Rank of a fit among those of one profile: future options first, then no device work, then the
/// fewest idle instances lost, then the fullest GPU.
std::int64_t rank_of(const Fit& fit, const fleet::Occupancy& occupancy) {
  std::int64_t rank = fit.loss;
  rank = rank * 2 + (fit.creates ? 1 : 0);
  rank = rank * 64 + std::popcount(fit.retires);
  rank = rank * 64 + (63 - std::min(63, std::popcount(occupancy.held)));
  return rank;
}

fleet::Cost free_part(const fleet::Gpu& gpu, const catalog::GpuModel& model) {
  fleet::Cost free{base::kWholeGpu, base::kWholeGpu};
  for (const auto& slice : gpu.slices)
    if (slice.phase != fleet::SlicePhase::kIdle) free -= fleet::cost_of(slice.shape, model);
  return free;
}

}  // namespace

Index::PoolOrders& Index::orders(PoolIndex pool) {
  if (pool.value() >= pools_.size()) pools_.resize(pool.value() + 1);
  return pools_[pool.value()];
}

void Index::rebuild(const Fleet& fleet, const catalog::Catalog& catalog) {
  *this = Index();
  for (std::size_t i = 0; i < fleet.gpus().size(); ++i) refresh(GpuIndex(i), fleet, catalog);
}

void Index::refresh_node(NodeIndex node, const Fleet& fleet, const catalog::Catalog& catalog) {
  for (const auto gpu : fleet.node(node).gpus) refresh(gpu, fleet, catalog);
}

void Index::refresh_pool(PoolIndex pool, const Fleet& fleet, const catalog::Catalog& catalog) {
  // A class that still has members keeps what it knows: so all leave before the first enters.
  for (const auto node : fleet.nodes_of(pool))
    for (const auto gpu : fleet.node(node).gpus)
      if (gpu.value() < gpus_.size()) leave(gpu);
  for (const auto node : fleet.nodes_of(pool)) refresh_node(node, fleet, catalog);
}

void Index::remove_node(NodeIndex index, const Fleet& fleet) {
  for (const auto gpu : fleet.node(index).gpus)
    if (gpu.value() < gpus_.size()) leave(gpu);
  if (index.value() >= nodes_.size()) return;
  auto& entry = nodes_[index.value()];
  if (entry.pool.valid() && entry.empty > 0)
    orders(entry.pool).nodes_by_empty[entry.empty].erase(entry.member);
  entry = NodeEntry{};
}

void Index::refresh(GpuIndex gpu, const Fleet& fleet, const catalog::Catalog& catalog) {
  if (gpu.value() >= gpus_.size()) gpus_.resize(gpu.value() + 1);
  leave(gpu);
  enter(gpu, fleet, catalog);
}

void Index::leave(GpuIndex gpu) {
  auto& entry = gpus_[gpu.value()];
  if (!entry.pool.valid()) return;
  auto& totals = orders(entry.pool).totals;
  if (entry.key == nullptr) {
    --totals.away;
  } else {
    --totals.open;
    totals.free -= entry.free;
    const auto found = classes_.find(*entry.key);
    found->second.members.erase(entry.member);
    if (found->second.members.empty()) {
      unfile_class(found->first, found->second);
      classes_.erase(found);
    }
  }
  entry = GpuEntry{};
}

void Index::enter(GpuIndex index, const Fleet& fleet, const catalog::Catalog& catalog) {
  const auto& gpu = fleet.gpu(index);
  if (!gpu.node.valid()) return;  // a removed GPU
  const Node& node = fleet.node(gpu.node);
  auto& entry = gpus_[index.value()];
  entry.pool = node.pool;
  auto& totals = orders(node.pool).totals;
  const bool open = node.open() && gpu.health == fleet::Health::kHealthy;
  const auto occupancy = fleet::occupancy_of(gpu);
  if (gpu.node.value() >= nodes_.size()) nodes_.resize(gpu.node.value() + 1);
  if (!open) {
    ++totals.away;
    count_empty(gpu.node, fleet);
    return;
  }
  const auto& pool = fleet.pool(node.pool);
  const auto& model = catalog.model(pool.model);
  ++totals.open;
  entry.free = free_part(gpu, model);
  totals.free += entry.free;
  entry.member = {node.cpu.count() == 0 ? base::MilliCpu(kUncounted) : node.cpu - node.cpu_used,
                  node.memory.count() == 0 ? base::MiB(kUncounted) : node.memory - node.memory_used,
                  index.value()};
  const auto [found, fresh] = classes_.try_emplace(Key{node.pool, occupancy});
  if (fresh) file_class(found->first, found->second, model, pool);
  found->second.members.insert(entry.member);
  entry.key = &found->first;
  count_empty(gpu.node, fleet);
}

void Index::file_class(const Key& key, Class& members, const catalog::GpuModel& model,
                       const fleet::Pool& pool) {
  auto& pool_orders = orders(key.pool);
  const auto& occupancy = key.occupancy;
  for (std::size_t i = 0; i < model.profiles.size(); ++i) {
    if (!model.profiles[i].plain() || !pool.offers(Technology::kMig)) continue;
    const auto profile = static_cast<std::uint16_t>(i);
    const Candidate candidate{.pool = key.pool, .technology = Technology::kMig, .profile = profile};
    if (const auto found = fit(model, pool, occupancy, candidate)) {
      members.fits.emplace(profile, *found);
      pool_orders.by_profile[profile].insert({rank_of(*found, occupancy), &key});
    }
  }
  if (occupancy.empty())
    pool_orders.empty.insert({std::popcount(occupancy.idle), &key});
  else if (occupancy.technology == Technology::kTimeSlicing)
    pool_orders.shared.insert({-occupancy.share_compute.count(), &key});
  else if (occupancy.technology == Technology::kVgpu)
    pool_orders.vgpu.insert({-occupancy.tenants, &key});
}

void Index::unfile_class(const Key& key, const Class& members) {
  auto& pool_orders = orders(key.pool);
  const auto& occupancy = key.occupancy;
  for (const auto& [profile, found] : members.fits)
    pool_orders.by_profile[profile].erase({rank_of(found, occupancy), &key});
  if (occupancy.empty())
    pool_orders.empty.erase({std::popcount(occupancy.idle), &key});
  else if (occupancy.technology == Technology::kTimeSlicing)
    pool_orders.shared.erase({-occupancy.share_compute.count(), &key});
  else if (occupancy.technology == Technology::kVgpu)
    pool_orders.vgpu.erase({-occupancy.tenants, &key});
}

/// Counts the node's empty open GPUs anew and files the node under that number.
void Index::count_empty(NodeIndex index, const Fleet& fleet) {
  auto& entry = nodes_[index.value()];
  if (entry.pool.valid() && entry.empty > 0)
    orders(entry.pool).nodes_by_empty[entry.empty].erase(entry.member);
  const auto& node = fleet.node(index);
  entry = {0, {}, node.pool};
  for (const auto gpu : node.gpus) {
    if (gpu.value() >= gpus_.size()) continue;
    const auto& known = gpus_[gpu.value()];
    if (known.key == nullptr || !known.key->occupancy.empty()) continue;
    ++entry.empty;
    entry.member = known.member;
  }
  entry.member.index = index.value();
  if (entry.empty > 0) orders(entry.pool).nodes_by_empty[entry.empty].insert(entry.member);
}

const Index::Order* Index::order_for(const Candidate& candidate) const {
  const auto& pool_orders = pools_[candidate.pool.value()];
  switch (candidate.technology) {
    case Technology::kMig: {
      const auto found = pool_orders.by_profile.find(candidate.profile);
      return found == pool_orders.by_profile.end() ? nullptr : &found->second;
    }
    case Technology::kTimeSlicing:
      return &pool_orders.shared;
    case Technology::kVgpu:
      return &pool_orders.vgpu;
    case Technology::kWhole:
      return nullptr;
  }
  return nullptr;
}

const Index::Member* Index::first_with(const Members& members, HostNeed host) {
  for (auto it = members.lower_bound(Member{host.cpu, host.memory, 0}); it != members.end(); ++it)
    if (it->memory >= host.memory) return &*it;
  return nullptr;
}

std::optional<Index::Pick> Index::pick(const Fleet& fleet, const catalog::Catalog& catalog,
                                       const Candidate& candidate, HostNeed host) const {
  std::optional<Pick> picked;
  visit_fitting(fleet, catalog, candidate, [&](const Members& members, const Fit& found) {
    const Member* member = first_with(members, host);
    if (member == nullptr) return false;
    picked = Pick{GpuIndex(member->index), found};
    return true;
  });
  return picked;
}

std::optional<NodeIndex> Index::pick_empty(PoolIndex pool, int gpus, HostNeed host) const {
  if (pool.value() >= pools_.size()) return std::nullopt;
  const auto& nodes = pools_[pool.value()].nodes_by_empty;
  for (auto it = nodes.lower_bound(gpus); it != nodes.end(); ++it)
    if (const Member* member = first_with(it->second, host)) return NodeIndex(member->index);
  return std::nullopt;
}

Index::Totals Index::totals(PoolIndex pool) const {
  return pool.value() < pools_.size() ? pools_[pool.value()].totals : Totals{};
}

}  // namespace tessera::placement
