#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "catalog/gpu_model.h"
#include "fleet/node_protocol.h"

namespace tessera::agent {

/// A control plane for tests: random grants and ends, as simple as the protocol allows.
class FakeControl {
 public:
  FakeControl(const catalog::GpuModel& model, std::size_t gpus, base::Random& random)
      : model_(model), random_(random), gpus_(gpus) {
    for (std::size_t i = 0; i < gpus; ++i) gpus_[i].number = static_cast<std::uint16_t>(i);
  }

  fleet::NodeTarget target() const { return {"node-1", revision_, gpus_}; }

  /// One random wish: a grant, an end, or an idle instance retired.
  void step() {
    ++revision_;
    auto& gpu = gpus_[random_.below(gpus_.size())];
    auto& slices = gpu.slices;
    const auto wish = random_.below(4);
    if (wish == 0) return end(gpu);
    if (wish == 1) {
      std::erase_if(slices, [&](const auto& each) {
        return each.phase == fleet::SlicePhase::kIdle && random_.chance(1, 2);
      });
      return;
    }
    grant(gpu);
  }

  void hear(const fleet::NodeReport& report) {
    ++revision_;
    for (const auto& told : report.gpus) {
      if (told.number >= gpus_.size()) continue;
      auto& gpu = gpus_[told.number];
      if (gpu.uuid.empty()) gpu.uuid = told.uuid;
      for (const auto& slice : told.slices) hear(gpu, slice);
    }
  }

  const fleet::TargetSlice* find(fleet::LeaseId lease) const {
    for (const auto& gpu : gpus_)
      for (const auto& slice : gpu.slices)
        if (slice.holder == lease) return &slice;
    return nullptr;
  }
  bool live(fleet::LeaseId lease) const {
    const auto* slice = find(lease);
    return slice != nullptr && (slice->phase == fleet::SlicePhase::kPreparing ||
                                slice->phase == fleet::SlicePhase::kInUse);
  }
  /// A lease in use and its device, at random; none if there is none.
  std::optional<std::pair<fleet::LeaseId, std::string>> tenant() {
    if (devices_.empty()) return std::nullopt;
    auto entry = devices_.begin();
    std::advance(entry, static_cast<std::ptrdiff_t>(random_.below(devices_.size())));
    const auto* slice = find(entry->first);
    if (slice == nullptr || slice->phase != fleet::SlicePhase::kInUse) return std::nullopt;
    return *entry;
  }
  void end_all() {
    ++revision_;
    for (auto& gpu : gpus_) end(gpu);
  }
  std::uint64_t granted = 0;
  std::uint64_t in_use = 0;
  std::uint64_t cleaned = 0;
  std::uint64_t failed = 0;

 private:
  void hear(fleet::GpuTarget& gpu, const fleet::SliceReport& told) {
    const auto slice =
        std::ranges::find(gpu.slices, told.generation, &fleet::TargetSlice::generation);
    if (slice == gpu.slices.end()) return;
    const bool held =
        slice->phase == fleet::SlicePhase::kPreparing || slice->phase == fleet::SlicePhase::kInUse;
    if (told.status == fleet::SliceStatus::kReady && held) {
      in_use += slice->phase == fleet::SlicePhase::kPreparing;
      slice->phase = fleet::SlicePhase::kInUse;
      devices_[slice->holder] = told.device;
    } else if (told.status == fleet::SliceStatus::kFailed && held) {
      ++failed;
      slice->phase = slice->phase == fleet::SlicePhase::kInUse ? fleet::SlicePhase::kScrubbing
                                                               : fleet::SlicePhase::kFailed;
    } else if (told.status == fleet::SliceStatus::kClean && !held &&
               slice->phase != fleet::SlicePhase::kIdle) {
      ++cleaned;
      devices_.erase(slice->holder);
      slice->holder = {};
      slice->phase = fleet::SlicePhase::kIdle;
      if (!std::holds_alternative<fleet::MigSlice>(slice->shape) || random_.chance(1, 3))
        gpu.slices.erase(slice);
    }
  }

  void end(fleet::GpuTarget& gpu) {
    for (auto& slice : gpu.slices)
      if (slice.phase == fleet::SlicePhase::kInUse || slice.phase == fleet::SlicePhase::kPreparing)
        if (random_.chance(1, 2)) slice.phase = fleet::SlicePhase::kScrubbing;
  }

  void grant(fleet::GpuTarget& gpu) {
    auto& slices = gpu.slices;
    const bool empty = std::ranges::all_of(
        slices, [](const auto& slice) { return slice.phase == fleet::SlicePhase::kIdle; });
    const bool shared =
        !slices.empty() && std::holds_alternative<fleet::ShareSlice>(slices.front().shape);
    if (empty && random_.chance(1, 4)) {
      slices.clear();
      gpu.mig = false;
      if (random_.chance(1, 2)) return add(gpu, fleet::WholeSlice{});
      return add(gpu, fleet::ShareSlice{base::MiB(1024), base::MilliShare(100)});
    }
    if (shared) return add(gpu, fleet::ShareSlice{base::MiB(1024), base::MilliShare(100)});
    if (!empty && !gpu.mig) return;
    gpu.mig = true;
    const auto instance =
        static_cast<catalog::InstanceIndex>(random_.below(model_.layouts.instances().size()));
    catalog::Layout held = 0;
    for (const auto& slice : slices)
      if (slice.phase != fleet::SlicePhase::kIdle)
        held |= catalog::bit(std::get<fleet::MigSlice>(slice.shape).instance);
    if ((held & catalog::bit(instance)) != 0 ||
        !model_.layouts.legal(held | catalog::bit(instance)))
      return;
    std::erase_if(slices, [&](const auto& slice) {
      const auto other = std::get<fleet::MigSlice>(slice.shape).instance;
      return slice.phase == fleet::SlicePhase::kIdle &&
             (model_.layouts.conflicts(instance) & catalog::bit(other)) != 0;
    });
    catalog::Layout layout = catalog::bit(instance);
    for (const auto& slice : slices)
      layout |= catalog::bit(std::get<fleet::MigSlice>(slice.shape).instance);
    if (!model_.layouts.legal(layout)) return;
    add(gpu, fleet::MigSlice{instance});
  }

  void add(fleet::GpuTarget& gpu, fleet::SliceShape shape) {
    ++granted;
    ++leases_;
    gpu.slices.push_back(
        {std::move(shape), ++generation_, fleet::SlicePhase::kPreparing, fleet::LeaseId(leases_)});
  }

  const catalog::GpuModel& model_;
  base::Random& random_;
  std::vector<fleet::GpuTarget> gpus_;
  std::map<fleet::LeaseId, std::string> devices_;
  std::uint64_t revision_ = 1;
  std::uint64_t generation_ = 0;
  std::uint64_t leases_ = 0;
};

}  // namespace tessera::agent
