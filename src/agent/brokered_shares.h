#pragma once

#include <map>
#include <mutex>
#include <string>

#include "agent/share_keeper.h"
#include "device/sharing/broker.h"

/// Holds leases to their shares with the guard: one tenant of the broker for each lease, over all
/// GPUs of this node that it shares. Its programs come to FOLDER/lease-N.
///
/// The memory of a lease's programs that have no row in its account (they were started under an
/// agent that has ended since, or go around the guard) is taken off what the others may have. So
/// an agent that is killed and started again gives nobody his share twice.
///
/// Owns the broker. Threads: keep() on the agent's, use() on any.
namespace tessera::agent {

class BrokeredShares : public ShareKeeper {
 public:
  /// The folder is made when the first lease comes.
  explicit BrokeredShares(std::string folder) : folder_(std::move(folder)) {}

  std::map<fleet::LeaseId, std::string> keep(const std::vector<GuardedShare>& shares) override;

  struct ShareUse {
    fleet::LeaseId lease;
    std::string gpu;
    base::MiB limit;    ///< of all its programs
    base::MiB outside;  ///< of it, taken by programs that are not in its account
    device::sharing::Use use;
  };
  /// Of all that are kept now, by lease and GPU.
  std::vector<ShareUse> use() const;

  /// Where programs of a lease find their limits.
  static std::string socket_of(const std::string& folder, fleet::LeaseId lease);

 private:
  struct Gpu {
    base::MiB memory, outside;
    friend bool operator==(const Gpu&, const Gpu&) = default;
  };
  struct Tenant {
    std::map<std::string, Gpu> gpus;  ///< by UUID
    std::uint32_t weight = 0;
  };

  std::map<fleet::LeaseId, Tenant> wanted(const std::vector<GuardedShare>& shares) const;
  base::Result<void> add(fleet::LeaseId lease, const Tenant& tenant);
  void change(fleet::LeaseId lease, Tenant& had, const Tenant& wants);

  const std::string folder_;
  device::sharing::Broker broker_;
  mutable std::mutex mutex_;
  std::map<fleet::LeaseId, Tenant> kept_;
};

}  // namespace tessera::agent
