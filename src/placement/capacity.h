#pragma once

#include <map>
#include <string>
#include <vector>

#include "placement/index.h"
#include "placement/match.h"

/// Capacity: how many slots of its quoted size each tier could offer, offers now, and has given
/// out.
namespace tessera::placement {

/// Slots and what they are made of: "4g.40gb" -> 8.
struct SlotMix {
  int slots = 0;
  std::map<std::string, int> mix;
  void add(const std::string& profile, int count);
};

/// One pool's part of a tier's capacity.
struct PoolCapacity {
  std::string pool;
  catalog::Technology technology{};
  int gpus = 0;       ///< declared
  SlotMix potential;  ///< if the tier had the pool to itself and everything worked
  SlotMix free;       ///< that fit now, one after the other, on the GPUs as they are
};

struct TierCapacity {
  std::string tier;
  catalog::Isolation isolation{};
  base::MiB slot;     ///< the size a slot is counted in
  SlotMix potential;  ///< sum over its pools; pools carried by several tiers count in each
  SlotMix free;
  fleet::Cost used;  ///< held by leases of this tier
  int used_slices = 0;
  std::vector<PoolCapacity> pools;
  std::string note;  ///< why the mix is what it is, for people
};

struct Capacity {
  std::vector<TierCapacity> tiers;  ///< from the least to the strongest
  int gpus_declared = 0;
  int gpus_ready = 0;
};

/// Slices held per tier, as the caller counts them.
struct TierUse {
  fleet::Cost cost;
  int slices = 0;
};

Capacity capacity_of(const catalog::Catalog& catalog, const fleet::Fleet& fleet, const Index& index,
                     const Tiers& tiers, const std::map<std::string, TierUse, std::less<>>& use);

/// The most slices with at least `slot` memory that one GPU can hold at once, and of those the
/// ones with the most SMs: on an H100 and 40 GB it is one 4g.40gb and one 3g.40gb, because only
/// one 4g fits. Starting from `held` instances that must stay.
std::vector<catalog::InstanceIndex> best_instances(const catalog::GpuModel& model,
                                                   catalog::Layout held, base::MiB slot);

}  // namespace tessera::placement
