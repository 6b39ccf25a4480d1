#include "control/step.h"

namespace tessera::control {
namespace {

using fleet::SlicePhase;

/// A failed slice is cleaned like any other that nobody may use. Where the lease's team was never
/// let in, what runs there is somebody else's, perhaps of a lease that a restored journal does not
/// know, and is not ended.
SlicePhase wanted(const State& state, const fleet::Slice& slice) {
  if (slice.phase != SlicePhase::kFailed && slice.phase != SlicePhase::kScrubbing)
    return slice.phase;
  const auto* lease = state.find(slice.holder);
  const bool entered = lease != nullptr && lease->activated != Instant{};
  return entered ? SlicePhase::kScrubbing : SlicePhase::kFailed;
}

}  // namespace

fleet::NodeTarget target_of(const State& state, fleet::NodeIndex index) {
  const auto& node = state.fleet().node(index);
  fleet::NodeTarget target{
      node.name, state.revision(), {}, state.incarnation(), state.next_incarnation()};
  for (const auto gpu_index : node.gpus) {
    const auto& gpu = state.fleet().gpu(gpu_index);
    fleet::GpuTarget wanted_gpu{.number = gpu.number, .uuid = gpu.uuid};
    for (const auto& slice : gpu.slices) {
      wanted_gpu.mig |= std::holds_alternative<fleet::MigSlice>(slice.shape);
      wanted_gpu.slices.push_back(
          {slice.shape, slice.generation, wanted(state, slice), slice.holder});
    }
    target.gpus.push_back(std::move(wanted_gpu));
  }
  return target;
}

}  // namespace tessera::control
