#pragma once

#include <string>
#include <vector>

#include "device/driver.h"
#include "fleet/node_protocol.h"

/// Which GPU of the machine a GPU of the target means.
///
/// The UUID decides. Drivers number what they find, so that a GPU that is gone moves the numbers of
/// those behind it; a number counts only where the target does not know a UUID yet.
namespace tessera::agent {

struct Pair {
  std::uint16_t number = 0;                    ///< as the control plane counts
  const fleet::GpuTarget* target = nullptr;    ///< nullptr: not in the target
  const device::GpuState* state = nullptr;     ///< nullptr: not found on the machine
  const device::GpuState* stranger = nullptr;  ///< found in its place, if another was
};

/// Every GPU of either side exactly once, by rising number. The target may be nullptr.
std::vector<Pair> pair_up(const fleet::NodeTarget* target, const device::Observation& observation);

}  // namespace tessera::agent
