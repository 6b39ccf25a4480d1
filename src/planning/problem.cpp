#include "planning/problem.h"

#include <bit>
#include <map>

#include "base/check.h"

namespace tessera::planning {

std::int64_t GpuClass::moved_by(Layout target) const {
  std::int64_t moved = 0;
  std::size_t next = 0;
  for (Layout rest = state.leased & ~state.pinned; rest != 0; rest &= rest - 1) {
    if ((rest & -rest & target) == 0) moved += state.weights[next];
    ++next;
  }
  return moved;
}

std::vector<GpuClass> merge(std::span<const GpuState> entries,
                            std::span<const std::int64_t> counts) {
  CHECK(entries.size() == counts.size());
  std::map<GpuState, GpuClass> merged;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    CHECK(std::popcount(entries[i].leased & ~entries[i].pinned) ==
          static_cast<int>(entries[i].weights.size()));
    GpuClass& of = merged[entries[i]];
    of.count += counts[i];
    of.entries.push_back({i, counts[i]});
  }
  std::vector<GpuClass> classes;
  for (auto& [state, of] : merged) {
    of.state = state;
    classes.push_back(std::move(of));
  }
  return classes;
}

}  // namespace tessera::planning
