#pragma once

#include <string>

#include "base/id.h"
#include "base/result.h"
#include "fleet/slice.h"

namespace tessera::app {

/// A control group (version 2) by which everybody can tell whose processes these are:
/// OURS/tessera-lease-N.scope/run-PID, below the group that this program itself is in. The agent
/// maps processes to leases by that name, and several runs of one lease share the scope.
///
/// It ends what is left in its own group when it goes. One thread.
class LeaseScope {
 public:
  /// Errors (kUnavailable): there is no version 2, or this user may not make groups here.
  static base::Result<LeaseScope> make(fleet::LeaseId lease);
  ~LeaseScope();
  LeaseScope(LeaseScope&& other) noexcept;
  LeaseScope& operator=(LeaseScope&&) = delete;

  const std::string& folder() const { return group_; }
  /// The file that a process writes "0" to, to be in.
  std::string door() const { return group_ + "/cgroup.procs"; }

 private:
  LeaseScope(std::string scope, std::string group)
      : scope_(std::move(scope)), group_(std::move(group)) {}

  std::string scope_, group_;  ///< empty: moved away
};

/// Where control groups of version 2 are mounted, by the text of /proc/self/mountinfo; empty where
/// they are not.
std::string cgroup2_mount(const std::string& mountinfo);

}  // namespace tessera::app
