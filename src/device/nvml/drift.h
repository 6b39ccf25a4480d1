#pragma once

#include <string>
#include <vector>

#include "catalog/gpu_model.h"
#include "device/nvml/library.h"

namespace tessera::device::nvml {

/// Where the driver's own MIG profiles and placements of GPU `number` differ from the catalog's: a
/// sentence each. Asks NVML, and so may take as long as the driver does; changes nothing.
std::vector<std::string> drift_from(const catalog::GpuModel& model, const Library& library,
                                    GpuNumber number);

}  // namespace tessera::device::nvml
