#pragma once

#include "control/capacity_answer.h"

/// What is the largest request that fits: internal to capacity_answer.h.
namespace tessera::control {

/// The largest slice of a tier that one GPU at hand takes as it is.
LargestSlice largest_now(const catalog::Catalog& catalog, const FleetAtHand& fleet,
                         const tenancy::Tier& tier);

/// The same once leases that may move have made room. Never less than `now`.
base::Result<LargestSlice> largest_planned(const SizingWorld& world, const FleetAtHand& fleet,
                                           const tenancy::Tier& tier, const LargestSlice& now);

/// The stocks of a fleet, with leases where they are or free to move.
std::vector<GpuStock> stocks_of(const FleetAtHand& fleet, bool repacked);

/// Is there a lease that a plan could move?
bool any_movable(const FleetAtHand& fleet);

}  // namespace tessera::control
