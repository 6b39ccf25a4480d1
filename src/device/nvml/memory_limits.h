#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "device/driver.h"

namespace tessera::device::nvml {

/// What a lease may have of a GPU's memory, all that the driver takes for it included.
struct MemoryLimit {
  MiB guaranteed;
  MiB most;
  friend bool operator==(const MemoryLimit&, const MemoryLimit&) = default;
};

/// Which leases the driver is to hold to their memory, by their control groups, and which of them
/// it does: drivers from 615 on can. Between who keeps leases to their shares and the threads of
/// the GPUs; what is wanted takes effect the next time that a GPU is looked at.
///
/// Thread-safe.
class MemoryLimits {
 public:
  using Share = std::pair<LeaseId, std::string>;  ///< a lease, the UUID of a GPU

  /// All that is wanted from now on.
  void want(std::map<Share, MemoryLimit> limits);
  std::optional<MemoryLimit> wanted(const Share& share) const;

  /// What the driver holds it to; none: nothing.
  void hold(const Share& share, std::optional<MemoryLimit> limit);
  std::optional<MemoryLimit> held(const Share& share) const;

 private:
  mutable std::mutex mutex_;
  std::map<Share, MemoryLimit> wanted_, held_;
};

}  // namespace tessera::device::nvml
