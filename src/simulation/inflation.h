#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/result.h"
#include "planning/solver.h"
#include "simulation/trace.h"

namespace tessera::simulation {

/// How full a fleet gets (the protocol by which packing policies for this trace are compared):
/// the pods, shuffled, then pods drawn again with replacement, until the GPUs they ask for reach
/// `inflate_percent` of the fleet. They arrive one by one and never leave; one that does not fit is
/// lost. Node CPU, memory and GPU model are constraints; a part of a GPU comes from one GPU.
///
/// Where moving is allowed, a pod that does not fit may be made room for by moving others
/// (make_room.h); the trace says of none that it may not move. Each move counts, also of a pod that
/// has moved before. At every moment the moves made so far are at most `max_moved` of the pods that
/// run then. They are spent where each brings in at least kWorthAMove of a GPU.
struct InflationOptions {
  std::uint64_t seed = 42;
  int inflate_percent = 130;
  double max_moved = 0;            ///< part of the running pods; 0: nothing is moved
  planning::SolverFactory solver;  ///< for the bounds; empty: none are worked out
};

/// Thousandths of a GPU.
inline constexpr std::int64_t kWorthAMove = 150;

struct InflationResult {
  /// Arrivals in percent of the fleet's GPUs -> allocated in percent of the fleet's GPUs.
  std::map<int, double> allocation;
  std::uint64_t arrived = 0;  ///< pods
  std::uint64_t placed = 0;
  std::uint64_t lost = 0;
  std::uint64_t moved = 0;       ///< moves, counted one by one
  std::uint64_t most_moves = 0;  ///< that were allowed at the end
  /// At 100 percent and at the end: more than so much, in percent of the fleet's GPUs, no packing
  /// of what has arrived can allocate (packing_bound.h).
  std::map<int, double> bound;
  std::map<int, double> bound_on_gpus_alone;
  std::int64_t fleet_milli_gpus = 0;
  std::int64_t allocated_milli_gpus = 0;
};

/// Runs the protocol on the production control plane: every pod is a Submit to control::step, so
/// it is matched and placed by the code that serves real requests. Deterministic. Errors: a pod
/// that names a model no node has is no error (it is lost); a fleet without GPUs is.
base::Result<InflationResult> inflate(const std::vector<TraceNode>& nodes,
                                      const std::vector<TracePod>& pods,
                                      const InflationOptions& options,
                                      const std::function<void(int percent)>& progress = {});

}  // namespace tessera::simulation
