#include "control/fleet_at_hand.h"

#include <map>

namespace tessera::control {

FleetAtHand fleet_at_hand(const State& state) {
  FleetAtHand at_hand{.fleet = {}, .tiers = state.tiers(), .gpus = {}, .closed = 0};
  const auto& pools = state.fleet().pools();
  std::map<GpuSituation, std::int64_t> counts;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (pools[i].name.empty()) continue;
    const auto pool = at_hand.fleet.put_pool(pools[i]);
    for (const auto node : state.fleet().nodes_of(fleet::PoolIndex(i)))
      for (const auto gpu : state.fleet().node(node).gpus) {
        if (!state.index().open(gpu)) {
          ++at_hand.closed;
          continue;
        }
        const auto occupancy = fleet::occupancy_of(state.fleet().gpu(gpu));
        ++counts[{pool, occupancy, occupancy.held}];
      }
  }
  for (const auto& [each, count] : counts) at_hand.gpus.push_back({each, count});
  return at_hand;
}

}  // namespace tessera::control
