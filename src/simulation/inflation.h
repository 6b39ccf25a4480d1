#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/result.h"
#include "simulation/trace.h"

namespace tessera::simulation {

/// How well a fleet fills up (the protocol by which packing policies for this trace are compared):
/// the pods, shuffled, then pods drawn again with replacement, until the GPUs they ask for reach
/// `inflate_percent` of the fleet. They arrive one by one and never leave; one that does not fit is
/// lost. Node CPU, memory and GPU model are constraints; a part of a GPU comes from one GPU.
struct InflationOptions {
  std::uint64_t seed = 42;
  int inflate_percent = 130;
};

struct InflationResult {
  /// Arrivals in percent of the fleet's GPUs -> allocated in percent of the fleet's GPUs.
  std::map<int, double> allocation;
  std::uint64_t arrived = 0;  ///< pods
  std::uint64_t placed = 0;
  std::uint64_t lost = 0;
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
