#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace tessera::app {

/// Keeps the processes of a control group from opening GPUs other than these, whatever the
/// permissions of the device files: a filter in the kernel, which ends with the group. NVIDIA's
/// control nodes stay open to all, as CUDA needs them. Other instances of a GPU that is let through
/// are not kept out by this: that is the driver's capabilities' doing.
///
/// `folder` is the group's. Errors (kUnavailable): the kernel has no such filters, or this user may
/// not set them.
base::Result<void> fence_devices(const std::string& folder, const std::vector<unsigned>& minors);

/// The number of a GPU's device file /dev/nvidiaN, by the files that the driver shows of its GPUs
/// in `folder`; none where it does not show that one.
std::optional<unsigned> minor_of(const std::string& uuid,
                                 const std::string& folder = "/proc/driver/nvidia/gpus");

}  // namespace tessera::app
