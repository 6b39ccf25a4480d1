#pragma once

#include <cstdint>
#include <optional>

#include "device/nvml/library.h"

namespace tessera::device::nvml {

/// How a GPU is set up for serving many people. Absent: the driver does not say.
struct Care {
  std::optional<bool> persistence;  ///< the driver stays loaded while nobody uses the GPU
  std::optional<bool> ecc, ecc_after_boot;
  std::optional<std::uint64_t> uncorrected;  ///< memory errors since the driver was loaded
};

/// Asks NVML, and so may take as long as the driver does; changes nothing.
Care care_of(const Library& library, GpuNumber number);

}  // namespace tessera::device::nvml
