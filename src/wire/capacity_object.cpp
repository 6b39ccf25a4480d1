#include <algorithm>
#include <map>

#include "wire/document.h"
#include "wire/objects.h"

namespace tessera::wire {
namespace {

Json slots_json(const placement::SlotMix& slots) {
  return {{"slots", slots.slots}, {"mix", slots.mix}};
}

/// A pool is listed once per technology, its GPUs count once.
std::int64_t gpus_of(const placement::TierCapacity& tier) {
  std::map<std::string_view, std::int64_t> gpus;
  for (const auto& pool : tier.pools) gpus[pool.pool] = pool.gpus;
  std::int64_t total = 0;
  for (const auto& [name, count] : gpus) total += count;
  return total;
}

Json used_json(const placement::TierCapacity& tier) {
  const std::int64_t all = gpus_of(tier) * base::kWholeGpu.count();
  const std::int64_t used = std::max(tier.used.compute, tier.used.memory).count();
  const std::int64_t thousandths = all == 0 ? 0 : (used * 1000 + all / 2) / all;
  return {{"slots", tier.used_slices},
          {"fraction", static_cast<double>(thousandths) / 1000},
          {"compute", base::to_string(tier.used.compute)},
          {"memory", base::to_string(tier.used.memory)}};
}

Json pool_json(const placement::PoolCapacity& pool) {
  return {{"pool", pool.pool},
          {"technology", to_string(pool.technology)},
          {"gpus", pool.gpus},
          {"potential", slots_json(pool.potential)},
          {"free", slots_json(pool.free)}};
}

Json tier_json(const placement::TierCapacity& tier) {
  Json pools = Json::array();
  for (const auto& pool : tier.pools) pools.push_back(pool_json(pool));
  Json potential = slots_json(tier.potential);
  potential["note"] = tier.note;
  return {{"name", tier.tier},
          {"isolation", to_string(tier.isolation)},
          {"slot", base::to_string(tier.slot)},
          {"potential", std::move(potential)},
          {"used", used_json(tier)},
          {"free", slots_json(tier.free)},
          {"pools", std::move(pools)}};
}

}  // namespace

Json capacity_object(const placement::Capacity& capacity) {
  Json tiers = Json::array();
  for (const auto& tier : capacity.tiers) tiers.push_back(tier_json(tier));
  return {{"apiVersion", kApiVersion},
          {"kind", "Capacity"},
          {"tiers", std::move(tiers)},
          {"gpus", {{"declared", capacity.gpus_declared}, {"ready", capacity.gpus_ready}}}};
}

}  // namespace tessera::wire
