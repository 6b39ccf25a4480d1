#include "device/nvml/processes.h"

#include <array>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/syscall.h>

namespace tessera::device::nvml {
namespace {

/// Through a handle on the process, so that a number used again never hits another one.
void send(std::uint32_t pid, int signal) {
  const auto handle = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (handle < 0) return;
  syscall(SYS_pidfd_send_signal, handle, signal, nullptr, 0);
  close(handle);
}

/// Asked once a second for every process: streams would cost several times the reading.
std::string cgroups_of(const std::string& proc, std::uint32_t pid) {
  const auto path = proc + "/" + std::to_string(pid) + "/cgroup";
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  std::string text;
  std::array<char, 4096> part{};
  for (ssize_t size = 0; (size = ::read(file, part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(size));
    if (static_cast<std::size_t>(size) < part.size()) break;  // all of it, without asking again
  }
  close(file);
  return text;
}

}  // namespace

LeaseId tenant_in(std::string_view cgroups) {
  constexpr std::string_view kPrefix = "tessera-lease-";
  constexpr std::string_view kSuffix = ".scope";
  const auto at = cgroups.find(kPrefix);
  if (at == std::string_view::npos) return {};
  const auto rest = cgroups.substr(at + kPrefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  const auto length = static_cast<std::size_t>(end - rest.data());
  if (error != std::errc{} || !rest.substr(length).starts_with(kSuffix)) return {};
  return LeaseId(number);
}

LeaseId LinuxProcesses::tenant_of(std::uint32_t pid) {
  const auto named = tenant_in(cgroups_of(proc_, pid));
  return named.valid() || !known_ ? named : known_(pid);
}

std::string scope_in(std::string_view cgroups) {
  constexpr std::string_view kVersion2 = "0::/";
  const auto begin = cgroups.starts_with(kVersion2) ? std::size_t{0} : cgroups.find("\n0::/");
  if (begin == std::string_view::npos) return {};
  auto path = cgroups.substr(cgroups.find('/', begin));
  path = path.substr(0, path.find('\n'));
  const auto name = path.find("/tessera-lease-");
  if (name == std::string_view::npos || !tenant_in(path).valid() ||
      path.find("/../") != std::string_view::npos)
    return {};
  return std::string(path.substr(0, path.find('/', name + 1)));
}

std::optional<ControlGroup> LinuxProcesses::group_of(std::uint32_t pid) {
  const auto scope = scope_in(cgroups_of(proc_, pid));
  struct stat status {};
  if (scope.empty() || stat((cgroups_ + scope).c_str(), &status) != 0) return std::nullopt;
  return ControlGroup{cgroups_ + scope, status.st_ino};
}

void LinuxProcesses::end(std::uint32_t pid) {
  constexpr auto kGrace = std::chrono::seconds(10);
  if (pid <= 1 || pid == static_cast<std::uint32_t>(getpid())) return;
  if (!policy_.strangers && !tenant_of(pid).valid()) return;
  const auto now = std::chrono::steady_clock::now();
  const std::scoped_lock lock(mutex_);
  std::erase_if(asked_, [&](const auto& each) { return now - each.second > 6 * kGrace; });
  const auto [asked, first] = asked_.try_emplace(pid, now);
  if (first)
    send(pid, SIGTERM);
  else if (now - asked->second >= kGrace)
    send(pid, SIGKILL);
}

}  // namespace tessera::device::nvml
