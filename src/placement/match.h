#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/gpu_model.h"
#include "fleet/fleet.h"
#include "placement/node_book.h"
#include "request/need.h"
#include "tenancy/team.h"
#include "tenancy/tier.h"

/// Matching: which tier, technology and slice a need calls for, whatever is free at the moment.
namespace tessera::placement {

using Tiers = std::map<std::string, tenancy::Tier, std::less<>>;

/// One kind of slice that would meet a need, in one pool. Candidates of a need are tried in
/// order; the first that fits is taken.
struct Candidate {
  fleet::PoolIndex pool;
  catalog::Technology technology{};
  std::uint16_t profile = 0;    ///< MIG: index into the model's profiles
  std::uint16_t vgpu_type = 0;  ///< vGPU: index into the model's types
  fleet::ShareSlice share;      ///< time-slicing
  fleet::Cost cost;             ///< of one slice
  /// Equal for candidates of different pools that are equally good: same technology, cost, SMs and
  /// memory. Rises along Match::candidates.
  std::uint16_t group = 0;
};
/// "1g.10gb", "share-10GiB", "A100-10C", "whole".
std::string name_of(const Candidate& candidate, const catalog::GpuModel& model);

/// The least tier that can ever satisfy a need, and how it would.
struct Match {
  const tenancy::Tier* tier = nullptr;
  /// By the tier's preference of technology, then cost, SMs and memory: the least slice first.
  /// Larger MIG profiles follow the least ones up to kMaxOversize times their cost, for layouts
  /// that have nothing smaller left.
  std::vector<Candidate> candidates;
};

/// How many times the cost of the least sufficient profile a granted one may have.
inline constexpr int kMaxOversize = 2;

/// Everything matching looks at. References must outlive the call.
struct MatchWorld {
  const catalog::Catalog& catalog;
  const fleet::Fleet& fleet;
  const NodeBook& nodes;
  const Tiers& tiers;
  const tenancy::Team& team;
};

/// Errors, each naming what was closest: kUnknownObject (tier, pool, model), kNoTier (no tier
/// promises that isolation to this team), kInvalidQuantity (duration), kAboveLimit (the team's
/// limit could never hold it), kNeverFits (no GPU or node could).
base::Result<Match> match(const MatchWorld& world, const request::Need& need);

/// Is it one of those that match() gives, and place() never: waiting alone would not help?
bool refuses_for_good(base::Reason reason);

/// The candidates of one tier, in order, whatever nodes there are to hold them: none where the tier
/// or its pools could not serve the need at all.
std::vector<Candidate> candidates_in(const MatchWorld& world, const tenancy::Tier& tier,
                                     const request::Need& need);

}  // namespace tessera::placement
