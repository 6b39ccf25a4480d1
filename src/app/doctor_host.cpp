#include "app/doctor_host.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include <fmt/core.h>

#include "app/lease_scope.h"

namespace tessera::app {
namespace {

using wire::Json;

constexpr std::uintmax_t kLargestFile = 64 << 20;

/// Empty where it cannot be read.
std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str().substr(0, kLargestFile);
}

bool exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

using Version = std::array<int, 3>;

/// "1.17.8-1", "v1.16.0~rc.1": the first three numbers.
Version version_of(const std::string& text) {
  Version version{};
  const char* next = text.data();
  const char* end = text.data() + text.size();
  if (next != end && *next == 'v') ++next;
  for (int& part : version) {
    const auto [after, error] = std::from_chars(next, end, part);
    if (error != std::errc{}) break;
    next = after != end && *after == '.' ? after + 1 : end;
  }
  return version;
}

struct Weakness {
  const char* name;
  Version mended;
  const char* what;
};
constexpr std::array kWeaknesses = {
    Weakness{"CVE-2024-0132", {1, 16, 2}, "a container image may reach the host's files"},
    Weakness{"CVE-2024-0133", {1, 16, 2}, "a container image may make files on the host"},
    Weakness{"CVE-2025-23359", {1, 17, 4}, "a way round the mending of CVE-2024-0132"},
    Weakness{
        "CVE-2025-23266", {1, 17, 8}, "a container image may run its code on the host as root"},
    Weakness{"CVE-2025-23267", {1, 17, 8}, "a container image may change files on the host"},
};

/// A program that divides GPUs itself, by the name that the kernel gives its process.
struct Owner {
  const char* process;
  const char* name;
};
// The kernel keeps 15 letters.
constexpr std::array kOwners = {
    Owner{"nvidia-mig-mana", "NVIDIA's MIG manager"},
    Owner{"nvidia-device-p", "NVIDIA's device plugin for Kubernetes"},
    Owner{"gpu-kubelet-plu", "NVIDIA's DRA driver for Kubernetes"},
    Owner{"hami-device-plu", "HAMi's device plugin for Kubernetes"},
};
constexpr std::array kOwnersFiles = {
    Owner{"/var/lib/kubelet/device-plugins/nvidia-gpu.sock",
          "NVIDIA's device plugin for Kubernetes"},
    Owner{"/var/lib/kubelet/plugins/gpu.nvidia.com/dra.sock", "NVIDIA's DRA driver for Kubernetes"},
    Owner{"/etc/systemd/system/multi-user.target.wants/nvidia-mig-manager.service",
          "NVIDIA's MIG manager"},
};

std::vector<std::string> running_programs(const std::string& root) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root + "/proc", error)) {
    const auto number = entry.path().filename().string();
    if (!std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; })) continue;
    auto name = text_of(entry.path().string() + "/comm");
    if (!name.empty() && name.back() == '\n') name.pop_back();
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

std::string Findings::verdict() const {
  std::string worst = "ok";
  for (const Json& each : list_) {
    if (each["verdict"] == "failed") return "failed";
    if (each["verdict"] == "warning") worst = "warning";
  }
  return worst;
}

void look_at_host(const std::string& root, Findings& findings) {
  if (geteuid() == 0)
    findings.fine("user", "root");
  else
    findings.warn("user", "not root: MIG instances can be neither made nor destroyed",
                  "run the agent as root");
  const auto mount = cgroup2_mount(text_of(root + "/proc/self/mountinfo"));
  if (mount.empty())
    findings.warn("cgroups", "version 2 is not mounted: a process cannot be told to be a lease's",
                  "boot with systemd.unified_cgroup_hierarchy=1");
  else if (mount != "/sys/fs/cgroup")
    findings.warn("cgroups",
                  "version 2 is mounted at " + mount +
                      " beside version 1: leases' processes are "
                      "known, their memory and CPU cannot be limited there",
                  "boot with systemd.unified_cgroup_hierarchy=1");
  else
    findings.fine("cgroups", "version 2");
}

std::optional<std::string> installed_version(const std::string& status,
                                             const std::string& package) {
  std::istringstream lines(status);
  bool meant = false;
  bool installed = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) meant = installed = false;
    if (line == "Package: " + package) meant = true;
    if (line.starts_with("Status: ")) installed = line.ends_with(" installed");
    if (meant && installed && line.starts_with("Version: ")) return line.substr(9);
  }
  return std::nullopt;
}

std::vector<std::string> toolkit_weaknesses(const std::string& version) {
  std::vector<std::string> found;
  for (const auto& weakness : kWeaknesses)
    if (version_of(version) < weakness.mended)
      found.push_back(fmt::format("{} ({})", weakness.name, weakness.what));
  return found;
}

void look_at_container_toolkit(const std::string& root, Findings& findings) {
  const auto status = text_of(root + "/var/lib/dpkg/status");
  std::optional<std::string> version;
  for (const auto* package :
       {"nvidia-container-toolkit", "nvidia-container-toolkit-base", "libnvidia-container1"})
    if (!version) version = installed_version(status, package);
  if (!version) {
    if (exists(root + "/usr/bin/nvidia-ctk") || exists(root + "/usr/bin/nvidia-container-cli"))
      findings.warn("container toolkit",
                    "installed, by no Debian package: its version is not known",
                    "see that `nvidia-ctk --version` says 1.17.8 or newer");
    else
      findings.fine("container toolkit", "not installed");
    return;
  }
  const auto weaknesses = toolkit_weaknesses(*version);
  if (weaknesses.empty()) return findings.fine("container toolkit", *version);
  std::string list;
  for (const auto& each : weaknesses) list += (list.empty() ? "" : "; ") + each;
  findings.warn("container toolkit", *version + ": " + list, "update it to 1.17.8 or newer");
}

void look_at_other_owners(const std::string& root, Findings& findings) {
  std::vector<std::string> found;
  const auto add = [&](const char* name) {
    if (std::ranges::find(found, name) == found.end()) found.emplace_back(name);
  };
  const auto running = running_programs(root);
  for (const auto& owner : kOwners)
    if (std::ranges::find(running, owner.process) != running.end()) add(owner.name);
  for (const auto& owner : kOwnersFiles)
    if (exists(root + owner.process)) add(owner.name);
  for (const auto& name : found)
    findings.warn("other owners", name + " is at work here, and divides these GPUs too",
                  "let one of the two have the GPUs: stop it on this node, or run no agent");
  if (found.empty()) findings.fine("other owners", "none found");
}

}  // namespace tessera::app
