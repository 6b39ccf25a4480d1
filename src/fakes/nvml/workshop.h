#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"
#include "fakes/nvml/machine_file.h"

/// Sets up a pretended machine and lets things happen to it: what the tool and the tests do with a
/// state file beside the library. Errors say what to write instead.
namespace tessera::fakes {

struct MachineOrder {
  std::vector<std::string> models;  ///< the catalog's key of every GPU, at most kMostGpus
  std::string driver_version = "580.95.05";
  bool mig = false;
  unsigned latency_ms = 0;  ///< how long a change takes, as on real GPUs
  std::uint64_t seed = 1;   ///< of the UUIDs
};
base::Result<void> make_machine(const std::string& path, const MachineOrder& order);

struct ProcessOrder {
  unsigned gpu = 0;
  std::optional<unsigned> gpu_instance;  ///< its first compute instance is used
  base::MiB memory;
  unsigned load_percent = 0;
  unsigned kind = 0;                 ///< 0 compute, 1 graphics, 2 MPS
  std::optional<std::uint32_t> pid;  ///< a process of this machine; none: one that exists here only
};
/// Its number. Errors: no such instance, MIG mode on and no instance named, memory full.
base::Result<std::uint32_t> place_process(const std::string& path, const ProcessOrder& order);
/// False where the machine has no such process.
base::Result<bool> remove_process(const std::string& path, std::uint32_t pid);

struct FaultOrder {
  std::string name;
  unsigned gpu = 0;
  std::uint32_t value = 1;  ///< how many calls fail, an Xid's number, MiB; 0 ends a lasting fault
  std::optional<unsigned> gpu_instance;  ///< for "leftover"
};
base::Result<void> inject(const std::string& path, const FaultOrder& order);
/// The names inject() knows, with what each means.
std::vector<std::pair<std::string_view, std::string_view>> fault_names();

/// Instances, processes and faults are gone; MIG mode is what the boards remember.
base::Result<void> reboot(const std::string& path);

/// The machine as it stands, processes that ended left out.
struct Snapshot {
  MachineHeader header{};
  std::vector<GpuRecord> gpus;
};
base::Result<Snapshot> look_at(const std::string& path);

}  // namespace tessera::fakes
