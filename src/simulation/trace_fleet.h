#pragma once

#include <string>
#include <vector>

#include "simulation/trace.h"

/// Small traces for tests: hosts with plenty of memory.
namespace tessera::simulation {

inline TraceNode trace_node(const std::string& name, int gpus, std::int64_t cpu,
                            const std::string& model) {
  return {name, base::MilliCpu(cpu), base::MiB(1 << 20), gpus, model};
}

inline TracePod trace_pod(const std::string& name, int gpus, std::int64_t share, std::int64_t cpu,
                          std::vector<std::string> models = {}) {
  return {name, base::MilliCpu(cpu),     base::MiB(1),
          gpus, base::MilliShare(share), std::move(models)};
}

}  // namespace tessera::simulation
