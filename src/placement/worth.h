#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "placement/demand.h"
#include "placement/match.h"

/// What free room is worth to the needs that are likely to come: the score by which shares and
/// whole GPUs are placed (docs/decisions/0010-placement-by-worth.md).
namespace tessera::placement {

/// What placement sees of a node. Host amounts that are not counted are kUncounted.
struct NodeRoom {
  static constexpr std::int64_t kUncounted = NodeBook::kUncounted;
  std::int64_t cpu = kUncounted;     ///< thousandths, left
  std::int64_t memory = kUncounted;  ///< MiB of the host, left
  std::int32_t appeal = 0;           ///< sum of appeal() over its open GPUs
  std::int32_t empty = 0;            ///< open GPUs that nobody holds a part of
};

/// The worth of a node is what the typical needs could still use of it:
///
///   sum over needs t that its host and its empty GPUs admit of
///     w_t * (kGpuPart * A + (1 - kGpuPart) * min(A, what its host can serve of such needs))
///
/// where A sums the appeal of its GPUs: what a GPU with so much free sells to a few random needs,
/// each taken or declined for the best. A need goes where the worth of a node falls least.
///
/// Before anything has been asked for, and beside it as if some tens of requests had been, halves,
/// quarters and eighths of a GPU and one to eight whole ones are typical: that keeps GPUs and nodes
/// empty as long as it can, like best fit.
///
/// Derived data: a pure function of the typical demand, the pools and the tiers. Plain float
/// arithmetic in a fixed order, so that every machine comes to the same figures.
class Worth {
 public:
  /// Works everything out anew.
  void rebuild(const MatchWorld& world, const DemandPicture& typical);

  /// Worth of a GPU of the pool of which so many thousandths are free for shares, in thousandths of
  /// an empty one.
  std::int32_t appeal(fleet::PoolIndex pool, std::int64_t free) const {
    return pools_[pool.value()].appeal[static_cast<std::size_t>(free)];
  }
  /// Worth of a node of the pool, in thousandths of a GPU.
  float of(fleet::PoolIndex pool, const NodeRoom& room) const;

  /// What to add per GPU for taking one of this pool: its GPUs are dear where needs that name their
  /// model or pool are many for what is free of it. `free` is by pool.
  double price(fleet::PoolIndex pool, const std::vector<base::GpuFraction>& free) const;

 private:
  static constexpr std::size_t kWholeGpu = 1000;
  static constexpr std::size_t kLanes = 4;
  /// Four floats that are worked on at once, by the compiler's vector extension: of() is the inner
  /// loop of a decision.
  using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;
  /// Typical needs side by side. Padding weighs nothing.
  struct Needs {
    Lanes weight{}, cpu{}, memory{}, empty{}, per_cpu{}, per_memory{};
  };
  struct PoolTables {
    std::vector<Needs> needs;
    std::size_t count = 0;  ///< of needs
    std::array<std::int32_t, kWholeGpu + 1> appeal{};
  };
  /// A need that names models or a pool: where it can go, and its part of all GPUs asked for.
  struct Named {
    std::vector<fleet::PoolIndex> pools;
    double part = 0;
  };
  struct Histogram;
  class Builder;

  std::vector<PoolTables> pools_;
  std::vector<Named> named_;
};

}  // namespace tessera::placement
