#pragma once

#include <cstdint>
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
  bool latency_critical = false;           ///< comes before those that are not
  std::vector<device::Process> processes;  ///< of this lease on that GPU, as the driver tells
};

/// What a lease has of a GPU that it is held to a share of.
struct ShareUse {
  fleet::LeaseId lease;
  std::string gpu;  ///< UUID
  base::MiB limit;
  base::MiB charged;           ///< to programs that are in its account
  base::MiB outside;           ///< taken by programs of the lease that are not
  base::MiB by_driver;         ///< the most that the driver itself lets it have; 0: anything
  std::uint64_t programs = 0;  ///< that are in its account
  std::uint64_t overruns = 0;  ///< launches of those that waited as long as any may, and went on
  std::uint64_t refusals = 0;  ///< programs that came and were given nothing
};

class ShareKeeper {
 public:
  virtual ~ShareKeeper() = default;

  /// All shares that there are now: leases that are no longer among them are held no more. Called
  /// with every tick; the same again changes nothing. Returns the leases that cannot be held to
  /// their shares, and why: they are not ready.
  virtual std::map<fleet::LeaseId, std::string> keep(const std::vector<GuardedShare>& shares) = 0;

  /// From any thread: of all that are kept now, by lease and GPU; and the lease that this process
  /// is held to the share of, none where there is none.
  virtual std::vector<ShareUse> use() const = 0;
  virtual fleet::LeaseId lease_of(std::uint32_t pid) const = 0;
};

}  // namespace tessera::agent
