#include "fleet/fleet.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"

namespace tessera::fleet {

std::optional<PoolIndex> Fleet::find_pool(std::string_view name) const {
  const auto found = pool_by_name_.find(name);
  if (found == pool_by_name_.end()) return std::nullopt;
  return found->second;
}

std::optional<NodeIndex> Fleet::find_node(std::string_view name) const {
  const auto found = node_by_name_.find(name);
  if (found == node_by_name_.end()) return std::nullopt;
  return found->second;
}

std::string Fleet::gpu_name(GpuIndex index) const {
  const auto& gpu = this->gpu(index);
  return node(gpu.node).name + "/" + std::to_string(gpu.number);
}

std::optional<GpuIndex> Fleet::find_gpu(std::string_view gpu_name) const {
  const auto slash = gpu_name.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto node_index = find_node(gpu_name.substr(0, slash));
  const std::string_view digits = gpu_name.substr(slash + 1);
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (!node_index || error != std::errc{} || end != digits.data() + digits.size())
    return std::nullopt;
  const auto& gpus = node(*node_index).gpus;
  if (number >= gpus.size()) return std::nullopt;
  return gpus[number];
}

PoolIndex Fleet::put_pool(Pool pool) {
  if (const auto known = find_pool(pool.name)) {
    pools_[known->value()] = std::move(pool);
    return *known;
  }
  const PoolIndex index(pools_.size());
  pool_by_name_.emplace(pool.name, index);
  pools_.push_back(std::move(pool));
  nodes_by_pool_.emplace_back();
  return index;
}

NodeIndex Fleet::add_node(Node node, int gpus) {
  CHECK_MSG(!find_node(node.name), node.name);
  const NodeIndex index(nodes_.size());
  node_by_name_.emplace(node.name, index);
  nodes_by_pool_[node.pool.value()].push_back(index);
  node.gpus.clear();
  nodes_.push_back(std::move(node));
  grow_node(index, gpus);
  return index;
}

void Fleet::grow_node(NodeIndex index, int gpus) {
  auto& node = nodes_[index.value()];
  const auto retired = retired_generations_.find(node.name);
  while (node.gpus.size() < static_cast<std::size_t>(gpus)) {
    Gpu gpu;
    gpu.node = index;
    gpu.number = static_cast<std::uint16_t>(node.gpus.size());
    if (retired != retired_generations_.end()) gpu.generation = retired->second;
    node.gpus.push_back(GpuIndex(gpus_.size()));
    gpus_.push_back(std::move(gpu));
  }
}

void Fleet::remove_pool(PoolIndex index) {
  auto& pool = pools_[index.value()];
  pool_by_name_.erase(pool.name);
  pool = Pool{};
}

void Fleet::remove_node(NodeIndex index) {
  auto& node = nodes_[index.value()];
  node_by_name_.erase(node.name);
  std::erase(nodes_by_pool_[node.pool.value()], index);
  auto& retired = retired_generations_[node.name];
  for (const auto gpu : node.gpus) {
    retired = std::max(retired, gpus_[gpu.value()].generation);
    gpus_[gpu.value()] = Gpu{};
  }
  node = Node{};
}

void Fleet::reindex() {
  pool_by_name_.clear();
  node_by_name_.clear();
  nodes_by_pool_.assign(pools_.size(), {});
  for (std::size_t i = 0; i < pools_.size(); ++i)
    if (!pools_[i].name.empty()) pool_by_name_.emplace(pools_[i].name, PoolIndex(i));
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (!nodes_[i].name.empty()) {
      node_by_name_.emplace(nodes_[i].name, NodeIndex(i));
      nodes_by_pool_[nodes_[i].pool.value()].push_back(NodeIndex(i));
    }
}

}  // namespace tessera::fleet
