#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>  // purity: for node_by_name_
#include <vector>

#include "fleet/gpu.h"
#include "fleet/pool.h"

namespace tessera::fleet {

/// All pools, nodes and GPUs. Owned by control::State, changed only by its apply().
/// Removed objects leave a tombstone (empty name, no GPUs), so that an Index stays what it was.
class Fleet {
 public:
  const Pool& pool(PoolIndex index) const { return pools_[index.value()]; }
  const Node& node(NodeIndex index) const { return nodes_[index.value()]; }
  const Gpu& gpu(GpuIndex index) const { return gpus_[index.value()]; }
  Pool& pool(PoolIndex index) { return pools_[index.value()]; }
  Node& node(NodeIndex index) { return nodes_[index.value()]; }
  Gpu& gpu(GpuIndex index) { return gpus_[index.value()]; }

  const Pool& pool_of(GpuIndex index) const { return pool(node(gpu(index).node).pool); }

  const std::vector<Pool>& pools() const { return pools_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Gpu>& gpus() const { return gpus_; }

  std::optional<PoolIndex> find_pool(std::string_view name) const;
  std::optional<NodeIndex> find_node(std::string_view name) const;
  /// "node-1/3": the node's name and the GPU's number.
  std::string gpu_name(GpuIndex index) const;
  std::optional<GpuIndex> find_gpu(std::string_view gpu_name) const;
  /// The nodes of a pool, by rising index.
  const std::vector<NodeIndex>& nodes_of(PoolIndex pool) const {
    return nodes_by_pool_[pool.value()];
  }

  PoolIndex put_pool(Pool pool);  ///< by name: replaces or adds
  NodeIndex add_node(Node node, int gpus);
  /// Adds GPUs to a node that is declared anew with more of them.
  void grow_node(NodeIndex node, int gpus);
  void remove_pool(PoolIndex pool);
  void remove_node(NodeIndex node);

  static void fields(auto& self, auto&& visit) {
    visit("pools", self.pools_);
    visit("nodes", self.nodes_);
    visit("gpus", self.gpus_);
    visit("retiredGenerations", self.retired_generations_);
  }
  /// Rebuilds the name tables after a snapshot was read into `fields`.
  void reindex();

 private:
  /// Every report names its node, so that must not cost a walk through a tree of all of them.
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };

  std::vector<Pool> pools_;
  std::vector<Node> nodes_;
  std::vector<Gpu> gpus_;
  /// The last generation on any GPU of a removed node, by name: its agent may still know slices by
  /// such numbers when a node of that name is declared again.
  std::map<std::string, std::uint64_t, std::less<>> retired_generations_;
  std::map<std::string, PoolIndex, std::less<>> pool_by_name_;
  std::unordered_map<std::string, NodeIndex, NameHash, std::equal_to<>>  // purity: never walked
      node_by_name_;
  std::vector<std::vector<NodeIndex>> nodes_by_pool_;
};

}  // namespace tessera::fleet
