#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "device/instance_spec.h"

namespace tessera::device::nvml {

/// Which MIG instances of this machine are ours, and so may be destroyed.
///
/// An instance is written down before it is made, and its device once that is known: whoever is
/// killed in between finds on the next start that what stands there is its own. What is not written
/// down was made by somebody else. All is void after a reboot, as the instances are.
///
/// Kept in a file that is replaced as a whole with every change. Threads: safe.
class Ledger {
 public:
  /// `path` empty: kept in memory only. `boot` names this boot of the machine.
  Ledger(std::string path, std::string boot);

  void intend(const std::string& gpu, const InstanceSpec& spec);
  void made(const std::string& gpu, const InstanceSpec& spec, const std::string& device);
  void gone(const std::string& gpu, const InstanceSpec& spec);

  /// `device` empty: it has none, as where making or destroying it was cut short.
  bool ours(const std::string& gpu, const InstanceSpec& spec, const std::string& device) const;
  /// Everything that is ours on one GPU.
  std::vector<InstanceSpec> all(const std::string& gpu) const;
  /// What the last write met; empty: it is on disk.
  std::string trouble() const;

 private:
  using Key = std::pair<std::string, InstanceSpec>;

  void read();
  void write();

  std::string path_;
  std::string boot_;
  mutable std::mutex mutex_;
  std::map<Key, std::string> devices_;  ///< empty text: intended, device not known yet
  std::string trouble_;
};

}  // namespace tessera::device::nvml
