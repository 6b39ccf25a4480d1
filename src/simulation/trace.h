#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"

/// Traces of real clusters, as published: the CSV lists of the Alibaba GPU cluster of 2023
/// ("openb"). Every value is checked; what is wrong is named by file and line.
namespace tessera::simulation {

struct TraceNode {
  std::string name;
  base::MilliCpu cpu;
  base::MiB memory;
  int gpus = 0;
  std::string model;
};

struct TracePod {
  std::string name;
  base::MilliCpu cpu;
  base::MiB memory;
  int gpus = 0;
  base::MilliShare share;           ///< of each of its GPUs; 1000: whole ones
  std::vector<std::string> models;  ///< acceptable; empty: any

  /// What it takes of the fleet's GPUs.
  std::int64_t milli_gpus() const { return gpus * share.count(); }
};

/// `file` is named in errors. The first line must have the columns
/// sn,cpu_milli,memory_mib,gpu,model in this order.
base::Result<std::vector<TraceNode>> parse_trace_nodes(std::string_view text,
                                                       const std::string& file);
/// Columns name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec, then any others.
base::Result<std::vector<TracePod>> parse_trace_pods(std::string_view text,
                                                     const std::string& file);

base::Result<std::vector<TraceNode>> read_trace_nodes(const std::string& path);
base::Result<std::vector<TracePod>> read_trace_pods(const std::string& path);

}  // namespace tessera::simulation
