#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "device/sharing/arbiter.h"
#include "device/sharing/door.h"
#include "device/sharing/peak_charges.h"

/// Shares this machine's GPUs among tenants whose programs run under the guard: keeps a door and
/// pages for each tenant, and moves the gates of each GPU.
///
/// Two threads of its own: one at the doors, one for the gates. All functions are thread-safe and
/// do not block longer than a look at the accounts takes. The first goes round the doors at most
/// once every kBetweenRounds, and lets the second go on after each of them; so a tenant whose
/// programs come without end does not hold up the gates of the others. Half of the files that this
/// process may have are for programs, divided among the doors. When the broker goes, programs keep
/// their limits and the gates stay as they are; the destructor opens them.
namespace tessera::device::sharing {

struct Tenant {
  std::string socket;          ///< TESSERA_GUARD_SOCKET of its programs
  std::optional<gid_t> group;  ///< whose members may come as well
  std::vector<GpuShare> gpus;
  Terms terms;
  std::optional<uid_t> user = {};  ///< whose it is already; none: who comes first
};

/// What a tenant uses of one GPU now.
struct Use {
  std::uint64_t memory_bytes = 0;
  std::uint64_t programs = 0;    ///< that have the guard loaded
  std::uint64_t violations = 0;  ///< launches that went on after the longest wait at a gate
  std::uint64_t refusals = 0;    ///< Door::refusals()
};

class Broker {
 public:
  static constexpr std::chrono::milliseconds kBetweenRounds{2};

  Broker();
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  /// Errors: as Door::open() and TenantPages::make(); kAlreadyExists for a name that is taken;
  /// kInvalidDocument for a weight of 0.
  base::Result<void> add(const std::string& name, const Tenant& tenant);
  /// Its programs keep what they have, and no longer wait at any gate.
  void remove(const std::string& name);
  /// From now on. Both: false where there is no such tenant, or it has no such GPU.
  bool change(const std::string& name, Terms terms);
  bool limit_memory(const std::string& name, std::uint64_t gpu, std::uint64_t bytes);
  /// The most that this process was charged lately in that tenant's account; none where it has no
  /// row there.
  std::optional<std::uint64_t> peak_charge(const std::string& name, std::uint32_t pid,
                                           std::uint64_t gpu) const;
  /// The tenant that this process has come to; empty where there is none.
  std::string tenant_of(std::uint32_t pid) const;
  /// Of all tenants, by name: the processes that have come to them and live, by
  /// guard::identity_of().
  std::map<std::string, std::vector<std::uint64_t>> programs() const;
  /// Whose tenants they are, where somebody has come already.
  std::map<std::string, uid_t> users() const;
  std::optional<Use> use_of(const std::string& name, std::uint64_t gpu) const;

 private:
  struct Member {
    Tenant tenant;
    TenantPages pages;
    Door door;
    PeakCharges peaks;
  };

  /// Of one door: what it is polled for, and when it wants to be attended at the latest.
  struct Watch {
    std::string name;
    std::size_t first, end;  ///< among all that is polled
    Door::Time until;
  };

  void rebuild();
  void divide_files();
  std::vector<Watch> watch_doors(std::vector<int>& files) const;
  bool attend(const std::string& name);
  void attend_doors(const std::stop_token& stop);
  void move_gates(const std::stop_token& stop);
  void wake_doors() const;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool news_ = false;  ///< a program has come or gone, or a tenant: look at the gates at once
  std::map<std::string, std::unique_ptr<Member>> members_;
  std::vector<Arbiter> arbiters_;
  int wake_;  ///< an eventfd: the doors have changed
  std::jthread doors_, gates_;
};

}  // namespace tessera::device::sharing
