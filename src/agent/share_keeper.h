#pragma once

#include <map>
#include <string>
#include <vector>

#include "device/driver.h"
#include "fleet/slice.h"

/// Who holds the tenants of time-sliced GPUs to their shares. A port of the agent's: the node's
/// implementation is BrokeredShares; where there is none, nobody is held to anything.
namespace tessera::agent {

/// A share of isolation `limited` that a lease holds.
struct GuardedShare {
  fleet::LeaseId lease;
  std::string gpu;  ///< UUID
  base::MiB memory;
  base::MilliShare compute;
  std::vector<device::Process> processes;  ///< of this lease on that GPU, as the driver tells
};

class ShareKeeper {
 public:
  virtual ~ShareKeeper() = default;

  /// All shares that there are now: leases that are no longer among them are held no more. Called
  /// with every tick; the same again changes nothing. Returns the leases that cannot be held to
  /// their shares, and why: they are not ready.
  virtual std::map<fleet::LeaseId, std::string> keep(const std::vector<GuardedShare>& shares) = 0;
};

}  // namespace tessera::agent
