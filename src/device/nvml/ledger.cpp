#include "device/nvml/ledger.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

namespace tessera::device::nvml {
namespace {

constexpr std::string_view kTitle = "tessera-instances 1 boot ";
constexpr std::string_view kNoDevice = "-";

}  // namespace

Ledger::Ledger(std::string path, std::string boot)
    : path_(std::move(path)), boot_(std::move(boot)) {
  read();
}

void Ledger::intend(const std::string& gpu, const InstanceSpec& spec) {
  made(gpu, spec, {});
}

void Ledger::made(const std::string& gpu, const InstanceSpec& spec, const std::string& device) {
  const std::scoped_lock lock(mutex_);
  const auto [entry, added] = devices_.try_emplace({gpu, spec}, device);
  if (!added && entry->second == device) return;
  entry->second = device;
  write();
}

void Ledger::gone(const std::string& gpu, const InstanceSpec& spec) {
  const std::scoped_lock lock(mutex_);
  if (devices_.erase({gpu, spec}) > 0) write();
}

bool Ledger::ours(const std::string& gpu, const InstanceSpec& spec,
                  const std::string& device) const {
  const std::scoped_lock lock(mutex_);
  const auto entry = devices_.find({gpu, spec});
  if (entry == devices_.end()) return false;
  return entry->second.empty() || device.empty() || entry->second == device;
}

std::vector<InstanceSpec> Ledger::all(const std::string& gpu) const {
  const std::scoped_lock lock(mutex_);
  std::vector<InstanceSpec> specs;
  for (const auto& [key, device] : devices_)
    if (key.first == gpu) specs.push_back(key.second);
  return specs;
}

std::string Ledger::trouble() const {
  const std::scoped_lock lock(mutex_);
  return trouble_;
}

/// Lines of "GPU PROFILE START SIZE DEVICE". A line that is not one is left out: what it named
/// counts as somebody else's, which is the safe mistake.
void Ledger::read() {
  std::ifstream file(path_);
  std::string line;
  if (path_.empty() || !std::getline(file, line) || line != std::string(kTitle) + boot_) return;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string gpu;
    std::string device;
    InstanceSpec spec;
    int start = -1;
    int size = -1;
    if (!(words >> gpu >> spec.nvml_profile >> start >> size >> device)) continue;
    if (start < 0 || start > 255 || size < 1 || size > 255) continue;
    spec.placement = {static_cast<std::uint8_t>(start), static_cast<std::uint8_t>(size)};
    devices_[{gpu, spec}] = device == kNoDevice ? std::string() : device;
  }
}

void Ledger::write() {
  if (path_.empty()) return;
  const std::string draft = path_ + ".draft";
  {
    std::ofstream file(draft, std::ios::trunc);
    file << kTitle << boot_ << "\n";
    for (const auto& [key, device] : devices_)
      file << key.first << " " << key.second.nvml_profile << " " << int{key.second.placement.start}
           << " " << int{key.second.placement.size} << " "
           << (device.empty() ? std::string(kNoDevice) : device) << "\n";
    file.flush();
    trouble_ = file ? std::string() : draft + ": " + std::strerror(errno);
  }
  if (trouble_.empty() && std::rename(draft.c_str(), path_.c_str()) != 0)
    trouble_ = path_ + ": " + std::strerror(errno);
}

}  // namespace tessera::device::nvml
