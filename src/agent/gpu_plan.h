#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "catalog/gpu_model.h"
#include "device/driver.h"
#include "fleet/node_protocol.h"

/// What one GPU needs next: the difference between what is and what should be. Pure.
///
/// The smallest change wins:
/// 1. an instance that a process holds stays, whatever the target says;
/// 2. an instance that the target wants stays as it is, also under a new generation;
/// 3. what is free and not wanted goes: first what is in the way, the rest when nothing else is
/// due;
/// 4. instances are made at the target's placements, those for leases before idle ones;
/// 5. MIG mode changes only when no process and no instance is left;
/// 6. an instance that somebody else made is neither used nor destroyed: what needs its place
/// waits.
namespace tessera::agent {

/// What an agent process has verified about a GPU's slices: generation -> device. Lost with the
/// process; then it is verified again, which does no harm.
struct GpuMemory {
  std::map<std::uint64_t, std::string> prepared;
  std::map<std::uint64_t, std::string> cleaned;
};

struct GpuView {
  const fleet::GpuTarget& target;
  const device::GpuState& state;
  const catalog::GpuModel* model;  ///< nullptr: the catalog does not know this GPU
  const device::Capabilities& can;
  const GpuMemory& memory;
  const device::Operation* underway;  ///< started, its effect not yet seen; nullptr: none
};

/// One operation that would bring the GPU closer to its target.
struct Step {
  device::Operation operation;
  std::vector<std::uint64_t> serves;  ///< generations that wait for it
};

struct GpuPlan {
  std::vector<Step> steps;  ///< most urgent first; all possible now, done one at a time
  std::vector<fleet::SliceReport> slices;  ///< how things stand, in the target's order
  std::string unfit;  ///< why the GPU can serve no lease of the kind it has; empty: it can
};

/// The GPU must be answering.
GpuPlan plan_gpu(const GpuView& view);

/// For a GPU that has fallen off the bus: what leases hold there is lost with it.
std::vector<fleet::SliceReport> slices_of_lost(const fleet::GpuTarget& target,
                                               const std::string& detail);

/// For a GPU that does not answer: nothing can be said of it, so nothing is called ready or clean.
std::vector<fleet::SliceReport> slices_of_hung(const fleet::GpuTarget& target,
                                               const std::string& detail);

}  // namespace tessera::agent
