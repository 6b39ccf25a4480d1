#include "placement/node_book.h"

#include <algorithm>

namespace tessera::placement {
namespace {

/// Changes that are remembered beside two for every node: whoever has missed more looks at all
/// nodes instead.
constexpr std::size_t kSpareChanges = 1024;

}  // namespace

void NodeBook::put(fleet::NodeIndex index, const fleet::Node& node) {
  if (index.value() >= entries_.size()) entries_.resize(index.value() + 1);
  auto& entry = entries_[index.value()];
  std::size_t linked = 0;
  for (const auto& island : node.nvlink) linked = std::max(linked, island.size());
  const Shape shape{node.gpus.size(), node.cpu, node.memory, linked};
  if (entry.pool != node.pool || entry.shape != shape) {
    count(entry, -1);
    entry.pool = node.pool;
    entry.shape = shape;
    count(entry, 1);
  }
  entry.cpu = node.cpu.count() == 0 ? kUncounted : (node.cpu - node.cpu_used).count();
  entry.memory = node.memory.count() == 0 ? kUncounted : (node.memory - node.memory_used).count();
  touch(index);
}

void NodeBook::remove(fleet::NodeIndex index) {
  if (!knows(index)) return;
  auto& entry = entries_[index.value()];
  count(entry, -1);
  entry = Entry{};
  touch(index);
}

void NodeBook::touch(fleet::NodeIndex index) {
  if (log_.size() > 2 * entries_.size() + kSpareChanges) {
    const auto half = static_cast<std::ptrdiff_t>(log_.size() / 2);
    log_.erase(log_.begin(), log_.begin() + half);
    first_ += static_cast<std::uint64_t>(half);
  }
  entries_[index.value()].changed = next_change();
  log_.push_back(index);
}

void NodeBook::count(const Entry& entry, int sign) {
  if (!entry.pool.valid()) return;
  if (entry.pool.value() >= shapes_.size()) shapes_.resize(entry.pool.value() + 1);
  auto& shapes = shapes_[entry.pool.value()];
  const auto found = shapes.try_emplace(entry.shape).first;
  if ((found->second += sign) == 0) shapes.erase(found);
}

const std::map<NodeBook::Shape, int>& NodeBook::shapes_of(fleet::PoolIndex pool) const {
  static const std::map<Shape, int> kNone;
  return pool.value() < shapes_.size() ? shapes_[pool.value()] : kNone;
}

bool NodeBook::counts_host(fleet::PoolIndex pool) const {
  return std::ranges::any_of(shapes_of(pool),
                             [](const auto& entry) { return entry.first.counted(); });
}

}  // namespace tessera::placement
