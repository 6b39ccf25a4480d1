#pragma once

#include <cstdint>
#include <vector>

#include "planning/supply.h"

/// The proof that goes with a SupplyAnswer: prices of kinds, as in certificate.h.
///
/// At given prices a GPU earns at most what its best cut is worth, and a slot costs at least its
/// cheapest slice. The sums bound what is possible, whatever the prices are.
namespace tessera::planning {

enum class Aim : std::uint8_t { kLeastCost, kMostServed };

/// Greatest common divisors, by which the solver's figures are divided so that they are small whole
/// numbers.
struct Units {
  std::int64_t effect = 1;  ///< of needs and effects
  std::int64_t cost = 1;    ///< of costs, or of values

  /// A cost in the solver's units, where what is served is negative, as a figure.
  std::int64_t figure(std::int64_t cost_in_units, Aim aim) const;
};

Units units_of(const Supply& supply, Aim aim);

/// Per kind, in units of cost per slice; negative ones count as 0.
using Prices = std::vector<double>;

/// The least cost, or the most that can be served, that these prices leave possible. Valid for any.
std::int64_t bound_of(const Supply& supply, Aim aim, const Units& units, const Prices& prices);

}  // namespace tessera::planning
