#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "catalog/gpu_model.h"

/// What is to be planned: GPUs in the same state with their count, and what is asked for.
namespace tessera::planning {

using catalog::InstanceIndex;
using catalog::Layout;
using catalog::ModelIndex;

/// Values and weights are counted in millionths, so that a plan compares exactly.
inline constexpr std::int64_t kUnit = 1'000'000;
/// Most that all values, or all weights, may add up to: exact in a double as well.
inline constexpr std::int64_t kLargestSum = 9'000'000'000 * kUnit / 1000;

/// `count` GPUs of one entry of the input.
struct EntryShare {
  std::size_t entry = 0;
  std::int64_t count = 0;
};

/// The state that makes two GPUs interchangeable.
struct GpuState {
  ModelIndex model;
  Layout layout = 0;  ///< all slices; legal
  Layout leased = 0;  ///< those that somebody holds; a subset of layout
  Layout pinned = 0;  ///< those whose lease must stay; a subset of leased
  /// Of the leased slices that may move, by rising instance: what moving one costs.
  std::vector<std::int64_t> weights;
  /// What the target layout must have beside them, for nobody else; legal with `pinned` and apart
  /// from it.
  Layout booked = 0;

  friend auto operator<=>(const GpuState&, const GpuState&) = default;
};

/// GPUs in the same state. They are numbered 0 … count - 1 in the order of `entries`.
struct GpuClass {
  GpuState state;
  std::int64_t count = 0;
  std::vector<EntryShare> entries;

  /// Weight of the leases that a target layout would move.
  std::int64_t moved_by(Layout target) const;
};

/// One kind of instance: a profile of a model.
struct Kind {
  ModelIndex model;
  std::uint16_t profile = 0;
  friend auto operator<=>(const Kind&, const Kind&) = default;
};

/// `count` items, each of which one instance of any of `kinds` serves.
struct Demand {
  std::vector<Kind> kinds;  ///< rising; empty where no GPU of this fleet could serve it
  std::int64_t value = kUnit;
  std::int64_t count = 1;
};

/// Invariants: classes have distinct states and positive counts, layouts are legal, and the sums
/// of values and of weights are at most kLargestSum.
struct Problem {
  std::vector<GpuClass> classes;
  std::vector<Demand> demands;  ///< as in the input, one by one
  std::int64_t spare = 0;  ///< empty GPUs of each model that may be used for the time of a change
  std::int64_t max_parallel = 0;  ///< GPUs changed at one moment; 0: any number
};

/// Merges entries in the same state. The order of classes is that of their states, so that the
/// same fleet in another order gives the same plan.
std::vector<GpuClass> merge(std::span<const GpuState> entries,
                            std::span<const std::int64_t> counts);

}  // namespace tessera::planning
