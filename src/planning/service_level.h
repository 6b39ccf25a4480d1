#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

/// How many slots it takes for arrivals at random: Erlang's loss formula.
namespace tessera::planning {

/// Requests that come independently of each other and stay for `mean` on average; how their stays
/// are spread does not matter.
struct Arrivals {
  std::int64_t per_hour = 0;  ///< in thousandths; positive
  base::Duration mean{};      ///< positive
  friend bool operator==(const Arrivals&, const Arrivals&) = default;

  /// Slots in use on average if there were any number of them.
  double load() const;
};

/// Service levels are counted in millionths of the arrivals.
inline constexpr std::int64_t kEveryArrival = 1'000'000;
/// The greatest load that is worked out, in slots.
inline constexpr double kGreatestLoad = 1e6;

/// The part of the arrivals that finds all of `slots` taken and goes elsewhere.
double blocked(double load, std::int64_t slots);

/// The fewest slots with which at least `level` (below kEveryArrival) of the arrivals is served at
/// once. None where the load is above kGreatestLoad.
std::optional<std::int64_t> slots_for(const Arrivals& arrivals, std::int64_t level);

}  // namespace tessera::planning
