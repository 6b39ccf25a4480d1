#include "fleet/slice.h"

namespace tessera::fleet {
namespace {

using base::fraction_of;
using base::kWholeGpu;
using catalog::GpuModel;

/// Shares of a GPU whose memory is unknown are charged as if they took all of it.
GpuFraction memory_fraction(MiB part, const GpuModel& model) {
  if (model.memory.count() == 0) return kWholeGpu;
  return fraction_of(part.count(), model.memory.count());
}

struct CostOf {
  const GpuModel& model;
  Cost operator()(const ShareSlice& share) const {
    return {fraction_of(share.compute.count(), std::int64_t{1000} * share.oversubscription),
            memory_fraction(share.memory, model)};
  }
  Cost operator()(const VgpuSlice& slice) const {
    const auto part = fraction_of(1, model.vgpu_types[slice.type].max_per_gpu);
    return {part, part};
  }
  Cost operator()(const MigSlice& slice) const {
    const auto& profile = model.profile_of(slice.instance);
    return {fraction_of(profile.compute_slices, model.compute_slices),
            fraction_of(profile.memory_slices, model.memory_slices)};
  }
  Cost operator()(const WholeSlice&) const { return {kWholeGpu, kWholeGpu}; }
};

struct MemoryOf {
  const GpuModel& model;
  MiB operator()(const ShareSlice& share) const { return share.memory; }
  MiB operator()(const VgpuSlice& slice) const { return model.vgpu_types[slice.type].framebuffer; }
  MiB operator()(const MigSlice& slice) const {
    return model.profile_of(slice.instance).memory.value_or(MiB(0));
  }
  MiB operator()(const WholeSlice&) const { return model.memory; }
};

struct SmsOf {
  const GpuModel& model;
  Sms operator()(const ShareSlice&) const { return model.sms; }
  Sms operator()(const VgpuSlice&) const { return model.sms; }
  Sms operator()(const MigSlice& slice) const {
    return model.profile_of(slice.instance).sms.value_or(Sms(0));
  }
  Sms operator()(const WholeSlice&) const { return model.sms; }
};

struct ProfileName {
  const GpuModel& model;
  std::string operator()(const ShareSlice& share) const {
    return "share-" + base::to_string(share.memory);
  }
  std::string operator()(const VgpuSlice& slice) const { return model.vgpu_types[slice.type].name; }
  std::string operator()(const MigSlice& slice) const {
    return model.profile_of(slice.instance).name;
  }
  std::string operator()(const WholeSlice&) const { return "whole"; }
};

}  // namespace

Cost cost_of(const SliceShape& shape, const GpuModel& model) {
  return std::visit(CostOf{model}, shape);
}
MiB memory_of(const SliceShape& shape, const GpuModel& model) {
  return std::visit(MemoryOf{model}, shape);
}
Sms sms_of(const SliceShape& shape, const GpuModel& model) {
  return std::visit(SmsOf{model}, shape);
}
std::string profile_name(const SliceShape& shape, const GpuModel& model) {
  return std::visit(ProfileName{model}, shape);
}

}  // namespace tessera::fleet
