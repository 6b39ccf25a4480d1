#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "placement/index.h"
#include "placement/match.h"
#include "placement/spot.h"

/// Placing: where a matched need fits now.
namespace tessera::placement {

/// What a team holds per pool, by PoolIndex; pools beyond the end hold nothing.
using UseByPool = std::vector<fleet::Cost>;

/// Everything placing looks at. References must outlive the call.
struct World {
  const catalog::Catalog& catalog;
  const fleet::Fleet& fleet;
  const Index& index;
  const Tiers& tiers;
  const tenancy::Team& team;
  const UseByPool& use;

  MatchWorld for_matching() const { return {catalog, fleet, tiers, team}; }
};

/// Why a matched need cannot be placed now. Never kNeverFits: match() has ruled that out.
struct Refusal {
  Reason reason{};
  std::string message;
};

/// The first candidate that fits, on the GPU where it costs the fewest future options; all of
/// `need.count` slices on one node, or none. Where pools offer equally good candidates (equal
/// Candidate::group), the one that fits most tightly is taken: on the GPU or node that then has
/// least left, so that large needs find room later. Pure and deterministic. For one slice and for
/// whole GPUs the cost does not depend on the size of the fleet, only on the number of classes.
std::expected<Spot, Refusal> place(const World& world, const Match& match,
                                   const request::Need& need);

/// All `count` slices of `candidate` on the given GPUs of one node, each with its occupancy, best
/// fit first; nothing if they do not all fit. The rule for several slices, also used to forecast.
struct NodeGpu {
  fleet::GpuIndex gpu;
  fleet::Occupancy occupancy;
};
std::optional<std::vector<Index::Pick>> pack(const catalog::GpuModel& model,
                                             const fleet::Pool& pool, std::vector<NodeGpu> gpus,
                                             const Candidate& candidate, int count);

/// Does the team's limit leave room for `count` slices of `candidate`?
bool within_limit(const World& world, const Candidate& candidate, int count);

}  // namespace tessera::placement
