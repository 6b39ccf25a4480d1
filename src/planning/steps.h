#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "planning/problem.h"

/// The way from the layouts there are to those that are planned, as an ordered list.
///
/// A lease moves by make before break: its new slice exists before the old one goes. Steps name
/// GPUs by class and number, many at once where many do the same. Instances are always made at an
/// explicit place. Where no free slice can be made for a lease that is in the way, it is parked:
/// on a spare GPU, else where there is room for the time being on some other GPU. Where that is not
/// possible either, it is stopped and started again later, and counted as a forced restart.
namespace tessera::planning {

/// GPUs first … first + count - 1 of a class. Classes from Problem::classes.size() on are the
/// spare GPUs of Change::spare_models.
struct Gpus {
  std::size_t of_class = 0;
  std::int64_t first = 0;
  std::int64_t count = 0;
  friend auto operator<=>(const Gpus&, const Gpus&) = default;
};

/// A target layout for some GPUs.
struct Assignment {
  Gpus gpus;
  Layout target = 0;
};

enum class StepKind : std::uint8_t {
  kCordon,    ///< nothing new is placed on `gpus`
  kCreate,    ///< make `instances`
  kMove,      ///< the lease in `instances` (one) goes to `to_instance` of `to`, GPU by GPU
  kStop,      ///< forced: the lease in `instances` (one) ends for the time being
  kStart,     ///< a stopped lease starts in `instances` (one)
  kDestroy,   ///< remove `instances`, which nobody holds
  kUncordon,  ///< the layout of `gpus` is as planned
};

struct Step {
  StepKind kind{};
  Gpus gpus;
  Layout instances = 0;
  Gpus to{};                      ///< kMove; as many GPUs as in `gpus`
  InstanceIndex to_instance = 0;  ///< kMove
};

/// Steps are carried out one after the other, each on at most Problem::max_parallel GPUs at a time.
struct Change {
  std::vector<Step> steps;
  std::int64_t forced_restarts = 0;
  std::int64_t peak_extra = 0;  ///< most instances that existed only to park leases, at once
  std::vector<ModelIndex> spare_models;
};

/// `targets` cover every GPU of every class once, contain all pinned slices and have for every
/// kind at least as many instances as are leased (CHECK).
Change steps_of(const Problem& problem, const catalog::Catalog& catalog,
                std::span<const Assignment> targets);

}  // namespace tessera::planning
