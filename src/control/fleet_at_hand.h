#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "control/state.h"
#include "fleet/fleet.h"
#include "placement/match.h"

/// A fleet as capacity questions see it: pools, tiers, and GPUs in the same state with their count.
/// Which node a GPU is on does not matter to slices that are asked for one by one.
namespace tessera::control {

/// What tells one GPU's possibilities from another's.
struct GpuSituation {
  fleet::PoolIndex pool;
  fleet::Occupancy occupancy;
  catalog::Layout pinned = 0;  ///< of occupancy.held: what no plan may move
  friend auto operator<=>(const GpuSituation&, const GpuSituation&) = default;
};

struct GpusAlike {
  GpuSituation each;
  std::int64_t count = 0;
};

struct FleetAtHand {
  fleet::Fleet fleet;  ///< its pools; nodes are not needed
  placement::Tiers tiers;
  std::vector<GpusAlike> gpus;  ///< those that take slices, by rising situation
  std::int64_t closed = 0;      ///< away, cordoned, quarantined or held back by a plan
};

/// The fleet of a state. Leases stay where they are.
FleetAtHand fleet_at_hand(const State& state);

}  // namespace tessera::control
