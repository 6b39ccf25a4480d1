#pragma once

#include <cstdint>

/// Whole numbers for proofs: sums of counts x prices need more than 64 bits.
namespace tessera::planning {

__extension__ using Wide = __int128;

/// Prices are rational with small denominators; those up to 10 are exact on this grid, and the
/// others are off by so little that a million GPUs do not add up to one unit.
inline constexpr std::int64_t kGrid = std::int64_t{2520} << 17;

/// Towards minus and plus infinity; `by` is positive.
constexpr Wide divide_down(Wide value, Wide by) {
  return value >= 0 ? value / by : -((-value + by - 1) / by);
}
constexpr Wide divide_up(Wide value, Wide by) {
  return -divide_down(-value, by);
}

}  // namespace tessera::planning
