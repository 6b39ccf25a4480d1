#pragma once

#include <compare>
#include <optional>
#include <tuple>

#include "catalog/gpu_model.h"

/// How MIG instances are named between the agent and a driver.
namespace tessera::device {

/// Where one MIG instance lies. The profile is NVML's number, because names drift between drivers.
struct InstanceSpec {
  int nvml_profile = -1;
  catalog::Placement placement;

  friend bool operator==(const InstanceSpec&, const InstanceSpec&) = default;
  friend auto operator<=>(const InstanceSpec& a, const InstanceSpec& b) {
    return std::tuple(a.nvml_profile, a.placement.start, a.placement.size) <=>
           std::tuple(b.nvml_profile, b.placement.start, b.placement.size);
  }
};

/// The catalog's instance at that place; none where the catalog knows no such thing, as after a
/// driver update.
std::optional<catalog::InstanceIndex> find_instance(const catalog::GpuModel& model,
                                                    const InstanceSpec& spec);

/// None where the model has no such instance or NVML's number of its profile is unknown.
std::optional<InstanceSpec> spec_of(const catalog::GpuModel& model,
                                    catalog::InstanceIndex instance);

}  // namespace tessera::device
