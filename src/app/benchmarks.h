#pragma once

#include <cstdint>
#include <string>

#include "app/output.h"

/// The benchmarks behind `tessera simulate`: a trace packed by inflation, and churn on MIG.
namespace tessera::app {

struct TraceOptions {
  std::string nodes;
  std::string pods;
  double inflate = 1.3;
  std::string max_moved = "0%";
};
/// Fills the trace's fleet and prints how full it got, beside what no packing could exceed.
int pack_trace(const TraceOptions& options, std::uint64_t seed, Format format);

struct ChurnCommandOptions {
  int gpus = 64;
  double load = 0.88;
  std::string policy;  ///< empty: each of them
};
int run_churn(const ChurnCommandOptions& options, std::uint64_t seed, Format format);

}  // namespace tessera::app
