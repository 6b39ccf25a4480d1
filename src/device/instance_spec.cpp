#include "device/instance_spec.h"

namespace tessera::device {

std::optional<InstanceSpec> spec_of(const catalog::GpuModel& model,
                                    catalog::InstanceIndex instance) {
  if (instance >= model.layouts.instances().size()) return std::nullopt;
  const int number = model.profile_of(instance).nvml_profile;
  if (number < 0) return std::nullopt;
  return InstanceSpec{number, model.layouts.instance(instance).placement};
}

std::optional<catalog::InstanceIndex> find_instance(const catalog::GpuModel& model,
                                                    const InstanceSpec& spec) {
  for (std::size_t i = 0; i < model.layouts.instances().size(); ++i) {
    const auto index = static_cast<catalog::InstanceIndex>(i);
    if (spec_of(model, index) == spec) return index;
  }
  return std::nullopt;
}

}  // namespace tessera::device
