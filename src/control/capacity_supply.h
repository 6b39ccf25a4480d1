#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/capacity_demand.h"
#include "control/fleet_at_hand.h"
#include "planning/supply.h"

/// From pools, tiers and lines of demand to slots that planning/supply.h counts: which slices would
/// serve a line, and in which ways a GPU can be cut into them. A line is served as a request of its
/// kind would be (placement/match.h), so that a slice at most placement::kMaxOversize times as
/// large as needed serves it.
namespace tessera::control {

/// A line as it is to be served: by what `tier` allows.
struct SlotLine {
  const DemandLine* asked = nullptr;
  tenancy::Tier tier;
  std::int64_t slots = 0;
};

/// GPUs of one pool, at hand or to be bought.
struct GpuStock {
  GpuSituation each;
  std::int64_t count = planning::kAnyNumber;
  bool repacked = false;  ///< leases that are not pinned may move to other such stocks
  Cents cost = 0;         ///< of one that is used
};

/// What a kind of slice is.
struct SliceKind {
  placement::Candidate candidate;
  std::string name;        ///< "2g.20gb"
  base::GpuFraction part;  ///< of its GPU, compute or memory, whichever is more
};

struct SlotSupply {
  planning::Supply supply;  ///< lines and stocks in the order given
  std::vector<SliceKind> kinds;
  std::vector<std::vector<bool>> licensed;  ///< [stock][cut]: divides the GPU into vGPUs
};

/// Licences count where `licences`; otherwise only what GpuStock::cost says does. Errors: kTooLarge
/// where GPUs could be shared in more ways than can be tried.
base::Result<SlotSupply> slot_supply(const catalog::Catalog& catalog, const fleet::Fleet& pools,
                                     const std::vector<SlotLine>& lines,
                                     const std::vector<GpuStock>& stocks,
                                     const TechniqueTerms& terms, bool licences);

/// The kinds of slices by which a line could be served in any of the pools, the least first.
std::vector<placement::Candidate> slices_for(const catalog::Catalog& catalog,
                                             const fleet::Fleet& pools, const SlotLine& line);

}  // namespace tessera::control
