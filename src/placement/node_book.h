#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "fleet/fleet.h"

namespace tessera::placement {

/// What the host must have left, for all slices of a request together.
struct HostNeed {
  base::MilliCpu cpu;
  base::MiB memory;
  friend auto operator<=>(const HostNeed&, const HostNeed&) = default;
  bool nothing() const { return cpu.count() == 0 && memory.count() == 0; }
};

/// What each node's host has left, which nodes have changed of late, and what nodes a pool has.
/// Derived data, kept by Index.
class NodeBook {
 public:
  /// What is not counted never runs out.
  static constexpr std::int64_t kUncounted = std::numeric_limits<std::int64_t>::max();

  /// How a node is built: decides what it can ever hold.
  struct Shape {
    std::size_t gpus = 0;
    base::MilliCpu cpu;      ///< 0: not counted
    base::MiB memory;        ///< 0: not counted
    std::size_t linked = 0;  ///< most GPUs that are linked by NVLink all to all
    friend auto operator<=>(const Shape&, const Shape&) = default;
    bool counted() const { return cpu.count() > 0 || memory.count() > 0; }
    bool could_hold(HostNeed need) const {
      return (cpu.count() == 0 || need.cpu <= cpu) &&
             (memory.count() == 0 || need.memory <= memory);
    }
  };
  struct Entry {
    fleet::PoolIndex pool;  ///< invalid: no such node
    Shape shape;
    std::int64_t cpu = kUncounted;     ///< thousandths, left
    std::int64_t memory = kUncounted;  ///< MiB, left
    std::uint64_t changed = 0;         ///< number of its last change

    bool has(HostNeed need) const {
      return need.cpu.count() <= cpu && need.memory.count() <= memory;
    }
  };

  /// Takes over what became of a node's host.
  void put(fleet::NodeIndex index, const fleet::Node& node);
  void remove(fleet::NodeIndex index);
  /// Notes that placing on this node may give another result than before.
  void touch(fleet::NodeIndex index);

  const Entry& of(fleet::NodeIndex index) const { return entries_[index.value()]; }
  bool knows(fleet::NodeIndex index) const {
    return index.value() < entries_.size() && entries_[index.value()].pool.valid();
  }
  /// Do both say the same of a node?
  bool alike(fleet::NodeIndex index, const NodeBook& other) const {
    if (!knows(index) || !other.knows(index)) return knows(index) == other.knows(index);
    const auto &mine = of(index), &theirs = other.of(index);
    return mine.pool == theirs.pool && mine.shape == theirs.shape && mine.cpu == theirs.cpu &&
           mine.memory == theirs.memory;
  }
  std::size_t size() const { return entries_.size(); }

  /// The pool's shapes of nodes, each with how many there are.
  const std::map<Shape, int>& shapes_of(fleet::PoolIndex pool) const;
  /// Does any node of the pool count its CPU or memory?
  bool counts_host(fleet::PoolIndex pool) const;

  /// Changes are numbered; the next one gets this number.
  std::uint64_t next_change() const { return first_ + log_.size(); }
  /// Is every change from this number on still known?
  bool remembers(std::uint64_t change) const { return change >= first_; }
  /// The node that a change was of. A node may have changed again since.
  fleet::NodeIndex changed_at(std::uint64_t change) const { return log_[change - first_]; }

 private:
  void count(const Entry& entry, int sign);

  std::vector<Entry> entries_;
  std::vector<std::map<Shape, int>> shapes_;  ///< by pool
  std::vector<fleet::NodeIndex> log_;
  std::uint64_t first_ = 1;  ///< number of the first change in log_
};

}  // namespace tessera::placement
