#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/capacity_supply.h"

/// Two questions about slots, answered with a proof: how many GPUs it takes, and what some GPUs
/// serve.
namespace tessera::control {

/// What becomes of one line.
struct LineFigures {
  std::int64_t served = 0;                     ///< thousandths of slots
  base::GpuFraction part;                      ///< of GPUs, which its slices take
  std::map<std::string, std::int64_t> slices;  ///< "2g.20gb" -> 5
};

/// A model that can be bought.
struct Purchase {
  fleet::PoolIndex pool;  ///< where it would belong
  std::optional<Cents> cost;
};

/// How many GPUs it takes to serve every line in full.
struct Sizing {
  bool possible = false;
  std::string why_not;             ///< where it is not
  std::vector<std::int64_t> gpus;  ///< by purchase
  std::int64_t total = 0;          ///< of all purchases
  bool by_cost = false;            ///< the least cost was asked for, not the fewest GPUs
  std::int64_t bound = 0;          ///< no fewer GPUs do; by_cost: Cents, with licences
  bool proven = false;
  std::optional<Cents> cost;  ///< a year, GPUs and licences; none where a price is missing
  Cents licences = 0;         ///< of that
  std::vector<LineFigures> lines;
};

/// What GPUs serve.
struct Serving {
  std::vector<LineFigures> lines;
  std::int64_t served = 0;  ///< value times thousandths of slots
  std::int64_t bound = 0;
  bool proven = false;
};

/// What all sizings of one question share. References must outlive it.
struct SizingWorld {
  const catalog::Catalog& catalog;
  const TechniqueTerms& terms;
  const planning::SolverFactory& solver;
  const planning::Patience& patience;
};

/// Fewest GPUs, or with `by_cost` the cheapest, beside `at_hand`. Every purchase needs a cost then.
base::Result<Sizing> size_fleet(const SizingWorld& world, const fleet::Fleet& pools,
                                const std::vector<SlotLine>& lines,
                                const std::vector<Purchase>& purchases,
                                const std::vector<GpuStock>& at_hand = {}, bool by_cost = false);

/// The most value that these GPUs serve, and of the ways to do so one that takes the least of them.
base::Result<Serving> serve(const SizingWorld& world, const fleet::Fleet& pools,
                            const std::vector<SlotLine>& lines,
                            const std::vector<GpuStock>& stocks);

}  // namespace tessera::control
