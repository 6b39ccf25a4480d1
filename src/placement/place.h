#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "placement/index.h"
#include "placement/match.h"
#include "placement/node_ranking.h"
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
  /// What was found out before, if the caller keeps it: see NodeRankings.
  NodeRankings* rankings = nullptr;

  MatchWorld for_matching() const { return {catalog, fleet, index.nodes(), tiers, team}; }
  NodeView view() const { return {catalog, fleet, index}; }
};

/// Why a matched need cannot be placed now. Never kNeverFits: match() has ruled that out.
struct Refusal {
  Reason reason{};
  std::string message;
};

/// The first candidate that fits, where it does the least harm; all of `need.count` slices on
/// each of `need.nodes` nodes of one pool, or none of them. Of equally good candidates in several
/// pools (equal Candidate::group) the one that does least harm is taken.
///
/// Harm is, for shares and whole GPUs, what the node's worth falls by to the needs that are typical
/// here (placement/worth.h), and the scarcity of the pool's GPUs; for MIG instances and vGPUs the
/// future options that the GPU gives up (placement/fit.h). Pure and deterministic. The cost depends
/// on how many nodes have changed since the last need of this kind, not on how many there are.
std::expected<Spot, Refusal> place(const World& world, const Match& match,
                                   const request::Need& need);

/// The node where work that takes no GPU, and this much of the host, does the least harm. Tessera
/// does not lend such places; it is for whoever puts that work on GPU nodes.
std::optional<fleet::NodeIndex> place_beside(const World& world, HostNeed need);

/// Does the team's limit leave room for `count` slices of `candidate`?
bool within_limit(const World& world, const Candidate& candidate, int count);

}  // namespace tessera::placement
