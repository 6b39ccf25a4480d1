#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "device/driver.h"

namespace tessera::device::nvml {

/// The machine's processes, as far as the driver deals with them: whose they are, and ending them.
///
/// Threads: called from one thread per GPU at a time; implementations see to their own safety.
class Processes {
 public:
  virtual ~Processes() = default;
  /// The lease it runs for; none where nothing says so.
  virtual LeaseId tenant_of(std::uint32_t pid) = 0;
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
  /// `proc`: where the kernel tells of processes.
  explicit LinuxProcesses(EndingPolicy policy, KnownTenant known = {}, std::string proc = "/proc")
      : policy_(policy), known_(std::move(known)), proc_(std::move(proc)) {}
  LeaseId tenant_of(std::uint32_t pid) override;
  /// SIGTERM to a process that is asked first, SIGKILL once that was ten seconds ago.
  void end(std::uint32_t pid) override;

 private:
  EndingPolicy policy_;
  KnownTenant known_;
  const std::string proc_;
  std::mutex mutex_;
  std::map<std::uint32_t, std::chrono::steady_clock::time_point> asked_;
};

/// The lease named in the text of /proc/PID/cgroup; none where there is none.
LeaseId tenant_in(std::string_view cgroups);

}  // namespace tessera::device::nvml
