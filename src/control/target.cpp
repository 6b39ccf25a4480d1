#include "control/step.h"

namespace tessera::control {
namespace {

using fleet::SlicePhase;

/// A failed slice is cleaned like any other that nobody may use.
SlicePhase wanted(const fleet::Slice& slice) {
  return slice.phase == SlicePhase::kFailed ? SlicePhase::kScrubbing : slice.phase;
}

}  // namespace

fleet::NodeTarget target_of(const State& state, fleet::NodeIndex index) {
  const auto& node = state.fleet().node(index);
  fleet::NodeTarget target{node.name, state.revision(), {}};
  for (const auto gpu_index : node.gpus) {
    const auto& gpu = state.fleet().gpu(gpu_index);
    fleet::GpuTarget wanted_gpu{.number = gpu.number, .uuid = gpu.uuid};
    for (const auto& slice : gpu.slices) {
      wanted_gpu.mig |= std::holds_alternative<fleet::MigSlice>(slice.shape);
      wanted_gpu.slices.push_back({slice.shape, slice.generation, wanted(slice), slice.holder});
    }
    target.gpus.push_back(std::move(wanted_gpu));
  }
  return target;
}

}  // namespace tessera::control
