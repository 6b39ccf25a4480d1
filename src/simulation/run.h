#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "simulation/world.h"

namespace tessera::simulation {

/// What became of one seed.
struct SeedResult {
  std::uint64_t seed = 0;
  std::optional<std::string> violation;
  bool is_void = false;  ///< too little happened for the run to prove anything
  Duration simulated{};
  std::uint64_t granted = 0;
  std::uint64_t moved = 0;      ///< leases that a plan moved
  std::uint64_t restarted = 0;  ///< leases that a plan restarted
  FaultCounts faults;
  std::uint64_t digest = 0;  ///< of all bytes in the journal
};

SeedResult run_seed(std::uint64_t seed, const Hooks& hooks = {}, WorldOptions options = {});

/// What became of several.
struct Report {
  std::uint64_t seeds = 0;
  std::uint64_t violations = 0;
  std::uint64_t void_runs = 0;
  double simulated_hours = 0;
  std::map<std::string, std::uint64_t> faults;
  std::uint64_t granted = 0;
  std::uint64_t moved = 0;
  std::uint64_t restarted = 0;
  std::string digest;  ///< of all journals, in hex: equal for equal seeds, on every machine

  struct First {
    std::uint64_t seed = 0;
    std::string text;
  };
  std::optional<First> first_violation;
};

/// Called after every seed with the report so far.
using Progress = std::function<void(const Report& so_far)>;
/// Asked before every seed.
using Stop = std::function<bool()>;

/// Runs the seeds first_seed, first_seed + 1 … one after the other, up to the first violation.
Report run_seeds(std::uint64_t first_seed, std::uint64_t count, const Progress& progress = {},
                 const Stop& stop = {});

}  // namespace tessera::simulation
