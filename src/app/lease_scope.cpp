#include "app/lease_scope.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <unistd.h>
#include <utility>

#include <sys/stat.h>

namespace tessera::app {
namespace {

using base::fail;
using base::Reason;
using namespace std::chrono_literals;

std::string text_of_file(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// This program's own group, below the mount: the line "0::/PATH".
std::string own_group(const std::string& cgroups) {
  std::istringstream lines(cgroups);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("0::/")) return line.substr(3);
  return {};
}

bool make_group(const std::string& path) {
  return mkdir(path.c_str(), 0755) == 0 || errno == EEXIST;
}

}  // namespace

std::string cgroup2_mount(const std::string& mountinfo) {
  // "36 35 98:0 /root /mount/point options [optional …] - TYPE source …"
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    const auto dash = line.find(" - ");
    if (dash == std::string::npos || line.compare(dash + 3, 8, "cgroup2 ") != 0) continue;
    std::istringstream words(line);
    std::string skipped, mount;
    words >> skipped >> skipped >> skipped >> skipped >> mount;
    return mount;
  }
  return {};
}

base::Result<LeaseScope> LeaseScope::make(fleet::LeaseId lease) {
  const auto mount = cgroup2_mount(text_of_file("/proc/self/mountinfo"));
  const auto own = own_group(text_of_file("/proc/self/cgroup"));
  if (mount.empty() || own.empty())
    return fail(Reason::kUnavailable, "control groups of version 2 are not mounted", {},
                "boot with systemd.unified_cgroup_hierarchy=1");
  const auto scope = mount + (own == "/" ? "" : own) + "/tessera-lease-" +
                     std::to_string(lease.value()) + ".scope";
  const auto group = scope + "/run-" + std::to_string(getpid());
  if (!make_group(scope) || !make_group(group))
    return fail(Reason::kUnavailable,
                "a control group cannot be made: " + std::string(std::strerror(errno)), group,
                "run it as root, or in a session whose control group is delegated to you");
  return LeaseScope(scope, group);
}

LeaseScope::LeaseScope(LeaseScope&& other) noexcept
    : scope_(std::exchange(other.scope_, {})), group_(std::exchange(other.group_, {})) {}

LeaseScope::~LeaseScope() {
  if (group_.empty()) return;
  std::ofstream(group_ + "/cgroup.kill") << "1";
  // The group is empty once the kernel has buried them all.
  for (int tries = 0; tries < 100 && rmdir(group_.c_str()) != 0 && errno == EBUSY; ++tries)
    std::this_thread::sleep_for(20ms);
  rmdir(scope_.c_str());  // another run may still be in it
}

}  // namespace tessera::app
