#include "control/apply_slices.h"

#include "base/check.h"

namespace tessera::control {

using fleet::SlicePhase;

fleet::Slice& SliceChanges::at(GpuIndex gpu, std::uint64_t generation) {
  auto* slice = s_.fleet_.gpu(gpu).find(generation);
  CHECK_MSG(slice != nullptr, s_.fleet_.gpu_name(gpu) + "@" + std::to_string(generation));
  return *slice;
}

void SliceChanges::erase(GpuIndex gpu, std::uint64_t generation) {
  const auto erased = std::erase_if(s_.fleet_.gpu(gpu).slices, [&](const fleet::Slice& slice) {
    return slice.generation == generation;
  });
  CHECK(erased == 1);
}

void SliceChanges::add(const request::LeasedSlice& leased, LeaseId lease) {
  auto& gpu = s_.fleet_.gpu(leased.gpu);
  fleet::Slice slice{leased.shape, SlicePhase::kPreparing, leased.generation, lease, {}};
  if (const auto* idle = gpu.find_idle(leased.shape)) {
    slice.device = idle->device;
    gpu.slices.erase(gpu.slices.begin() + (idle - gpu.slices.data()));
  }
  CHECK(leased.generation > gpu.generation);
  gpu.generation = leased.generation;
  gpu.slices.push_back(std::move(slice));
}

void SliceChanges::scrub(const request::LeasedSlice& leased) {
  auto* slice = s_.fleet_.gpu(leased.gpu).find(leased.generation);
  if (slice && slice->phase != SlicePhase::kFailed) slice->phase = SlicePhase::kScrubbing;
  refresh(leased.gpu);
}

void SliceChanges::change_host_use(const request::Lease& lease, std::int64_t sign) {
  if (lease.cpu.count() == 0 && lease.host_memory.count() == 0) return;
  for (const auto index : request::nodes_of(lease, s_.fleet_)) {
    auto& node = s_.fleet_.node(index);
    node.cpu_used += lease.cpu * sign;
    node.memory_used += lease.host_memory * sign;
    s_.index_.refresh_host(index, s_.fleet_);
  }
}

void SliceChanges::refresh(GpuIndex gpu) {
  s_.index_.refresh(gpu, s_.fleet_, *s_.catalog_);
}

}  // namespace tessera::control
