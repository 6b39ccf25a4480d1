#pragma once

#include <cstdint>

namespace tessera::base {

/// Randomness, as a port. The same seed gives the same numbers on every machine and compiler,
/// which the distributions of the standard library do not promise.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;

  /// Uniform in [0, bound), without bias. bound > 0.
  std::uint64_t below(std::uint64_t bound);
  /// True with probability `numerator / denominator`.
  bool chance(std::uint64_t numerator, std::uint64_t denominator);
};

/// xoshiro256** (Blackman, Vigna 2018), seeded through splitmix64. Not for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed);
  std::uint64_t next() override;

 private:
  std::uint64_t state_[4];
};

}  // namespace tessera::base
