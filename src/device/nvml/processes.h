#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "device/driver.h"

namespace tessera::device::nvml {

/// The machine's processes, as far as the driver deals with them: whose they are, and ending them.
///
/// Threads: called from one thread per GPU at a time; implementations see to their own safety.
/// A control group: its folder, and what tells it from a later one of the same name.
struct ControlGroup {
  std::string folder;
  std::uint64_t number = 0;
  friend auto operator<=>(const ControlGroup&, const ControlGroup&) = default;
};

class Processes {
 public:
  virtual ~Processes() = default;
  /// The lease it runs for; none where nothing says so.
  virtual LeaseId tenant_of(std::uint32_t pid) = 0;
  /// The group that all of a lease's processes on this machine are in, of version 2; none where
  /// nothing says so.
  virtual std::optional<ControlGroup> group_of(std::uint32_t /*pid*/) { return std::nullopt; }
  /// Asks a process whose lease has ended to end, the harder the more often it is asked. Need not
  /// succeed, or even try: whoever asks looks again.
  virtual void end(std::uint32_t pid) = 0;
};

struct EndingPolicy {
  /// Also those that nothing ties to a lease. Without it they are left alone, and keep their slice
  /// from being offered again until they end by themselves.
  bool strangers = false;
};

/// Who knows whose a process is that no control group names; none where he does not. Called from
/// any thread.
using KnownTenant = std::function<LeaseId(std::uint32_t pid)>;

/// This machine's. A process belongs to lease N when one of its control groups is named
/// "tessera-lease-N.scope", whatever else it says of itself; where none names a lease, when `known`
/// says so.
class LinuxProcesses final : public Processes {
 public:
  /// `proc`, `cgroups`: where the kernel tells of processes, and of control groups of version 2.
  explicit LinuxProcesses(EndingPolicy policy, KnownTenant known = {}, std::string proc = "/proc",
                          std::string cgroups = "/sys/fs/cgroup")
      : policy_(policy),
        known_(std::move(known)),
        proc_(std::move(proc)),
        cgroups_(std::move(cgroups)) {}
  LeaseId tenant_of(std::uint32_t pid) override;
  std::optional<ControlGroup> group_of(std::uint32_t pid) override;
  /// SIGTERM to a process that is asked first, SIGKILL once that was ten seconds ago.
  void end(std::uint32_t pid) override;

 private:
  EndingPolicy policy_;
  KnownTenant known_;
  const std::string proc_, cgroups_;
  std::mutex mutex_;
  std::map<std::uint32_t, std::chrono::steady_clock::time_point> asked_;
};

/// The lease named in the text of /proc/PID/cgroup; none where there is none.
LeaseId tenant_in(std::string_view cgroups);
/// Of the group of version 2 in it, the part up to the one that is named after a lease:
/// "/a/…scope". Empty where there is none, or it is not below what this program sees as the root.
std::string scope_in(std::string_view cgroups);

}  // namespace tessera::device::nvml
