#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <sys/types.h>

#include "agent/share_keeper.h"
#include "device/nvml/memory_limits.h"
#include "device/sharing/broker.h"

/// Holds leases to their shares with the guard: one tenant of the broker for each lease, over all
/// GPUs of this node that it shares. Its programs come to FOLDER/lease-N.
///
/// The memory of a lease's programs that have no row in its account (they were started under an
/// agent that has ended since, or when the lease was on other GPUs, or go around the guard) is
/// taken off what the others may have; of those that have one, what is beyond their charge and
/// kContextAllowance. So an agent that is killed and started again gives nobody his share twice.
/// Which programs those are is kept in FOLDER/programs, and whose each lease is in FOLDER/users,
/// both written with every tick that finds something else.
///
/// One agent at a time keeps shares in a folder: two would take each other's sockets away.
///
/// The folder holds what programs believe their limits from: it belongs to this user or to root,
/// and nobody else may write to it. Sockets are their owner's and root's; with a group, its
/// members'.
///
/// Owns the broker. Threads: keep() on the agent's, all else on any.
namespace tessera::agent {

class BrokeredShares : public ShareKeeper {
 public:
  /// A context of the driver's, and the code that it loads, are charged to nobody: so much of what
  /// a guarded program has is taken for that.
  static constexpr base::MiB kContextAllowance{1024};

  /// The folder is made when the first lease comes.
  /// `limits`: told what leases may have, for a driver that can keep that itself; may be none.
  explicit BrokeredShares(std::string folder, std::optional<gid_t> group = {},
                          std::shared_ptr<device::nvml::MemoryLimits> limits = {});
  ~BrokeredShares() override;
  BrokeredShares(const BrokeredShares&) = delete;
  BrokeredShares& operator=(const BrokeredShares&) = delete;

  std::map<fleet::LeaseId, std::string> keep(const std::vector<GuardedShare>& shares) override;

  std::vector<ShareUse> use() const override;
  fleet::LeaseId lease_of(std::uint32_t pid) const override;

  /// Where programs of a lease find their limits.
  static std::string socket_of(const std::string& folder, fleet::LeaseId lease);

 private:
  struct Gpu {
    base::MiB memory, outside;
    friend bool operator==(const Gpu&, const Gpu&) = default;
  };
  struct Tenant {
    std::map<std::string, Gpu> gpus;  ///< by UUID
    device::sharing::Terms terms{.weight = 1};
  };

  base::MiB outside_of(const GuardedShare& share) const;
  std::map<fleet::LeaseId, Tenant> wanted(const std::vector<GuardedShare>& shares) const;
  bool drop_unwanted(const std::map<fleet::LeaseId, Tenant>& wants);
  base::Result<void> take_folder();
  base::Result<void> add(fleet::LeaseId lease, const Tenant& tenant);
  void change(fleet::LeaseId lease, Tenant& had, const Tenant& wants);
  void tell_limits(const std::map<fleet::LeaseId, Tenant>& wants) const;
  void remember_programs();
  void remember_users(const std::map<fleet::LeaseId, Tenant>& wants);
  void write(const std::string& name, std::string text, std::string& remembered) const;

  const std::string folder_;
  const std::optional<gid_t> group_;
  const std::shared_ptr<device::nvml::MemoryLimits> limits_;
  device::sharing::Broker broker_;
  mutable std::mutex mutex_;
  /// That came to an account which is no more, by guard::identity_of().
  std::map<std::uint64_t, fleet::LeaseId> before_;
  std::map<fleet::LeaseId, uid_t> users_;
  std::map<fleet::LeaseId, Tenant> kept_;
  int lock_ = -1;  ///< FOLDER/lock, locked; -1 before the first lease
  std::string remembered_programs_, remembered_users_;  ///< what is in those files
};

}  // namespace tessera::agent
