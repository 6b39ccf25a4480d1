#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fleet/slice.h"

namespace tessera::fleet {

using base::MilliCpu;

/// How the MIG layout of a pool's GPUs comes about.
enum class LayoutPolicy : std::uint8_t {
  kOnDemand,  ///< instances are made where there is room, as requests come
  kStatic,    ///< every GPU has the pool's layout; requests get what is there
};
std::string_view to_string(LayoutPolicy policy);

/// Nodes with one GPU model, managed alike.
struct Pool {
  std::string name;
  catalog::ModelIndex model;
  std::vector<std::string> tiers;                 ///< tiers it carries, by name
  std::vector<catalog::Technology> technologies;  ///< what its nodes can do, rising order
  LayoutPolicy layout_policy = LayoutPolicy::kOnDemand;
  catalog::Layout static_layout = 0;  ///< with kStatic: the layout of every GPU

  bool offers(catalog::Technology technology) const;
  bool carries(std::string_view tier) const;
  /// Its GPUs keep the static layout; only what exists can be granted.
  bool fixed() const { return layout_policy == LayoutPolicy::kStatic && static_layout != 0; }
  friend bool operator==(const Pool&, const Pool&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("name", self.name);
    visit("model", self.model);
    visit("tiers", self.tiers);
    visit("technologies", self.technologies);
    visit("layoutPolicy", self.layout_policy);
    visit("staticLayout", self.static_layout);
  }
};

/// Whether a node's agent can be relied on.
///   kExpected -> kReady (first report) <-> kLost (no report for a while; leases are kept)
enum class NodePhase : std::uint8_t { kExpected, kReady, kLost };
std::string_view to_string(NodePhase phase);

/// GPUs of one node by number, each list linked by NVLink all to all: boards with a switch have one
/// such island, bridges make pairs. Every list rises and has two GPUs or more, no GPU is in two,
/// and those in none have no link, or none that is known.
using Islands = std::vector<std::vector<std::uint16_t>>;

/// One machine with GPUs of its pool's model.
struct Node {
  std::string name;
  PoolIndex pool;
  NodePhase phase = NodePhase::kExpected;
  bool cordoned = false;  ///< no new slices here, by an operator's wish
  MilliCpu cpu;           ///< 0: not counted
  MiB memory;             ///< of the host; 0: not counted
  MilliCpu cpu_used;
  MiB memory_used;
  std::vector<GpuIndex> gpus;  ///< by number
  std::string boot;            ///< boot id of the last report
  Islands nvlink;              ///< as declared

  bool open() const { return phase == NodePhase::kReady && !cordoned; }
  static void fields(auto& self, auto&& visit) {
    visit("name", self.name);
    visit("pool", self.pool);
    visit("phase", self.phase);
    visit("cordoned", self.cordoned);
    visit("cpu", self.cpu);
    visit("memory", self.memory);
    visit("cpuUsed", self.cpu_used);
    visit("memoryUsed", self.memory_used);
    visit("gpus", self.gpus);
    visit("boot", self.boot);
    visit("nvlink", self.nvlink);
  }
};

}  // namespace tessera::fleet
