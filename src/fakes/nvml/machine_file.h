#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "device/nvml/abi.h"

/// The pretended machine, as a file: every process that loads the stand-in library with the same
/// TESSERA_FAKE_GPUS sees one machine, as processes that share a real driver do.
///
/// The file holds plain records: a header, then two copies of every GPU's record and the number of
/// the one in force. A change writes the other copy, then that number. So a process that is killed
/// at any point, lock held or not, leaves the state before its change or the state after it; the
/// kernel releases its lock.
///
/// Every transaction opens the file anew: nothing is shared between threads or inherited by a fork.
namespace tessera::fakes {

namespace abi = device::nvml::abi;

inline constexpr unsigned kMostGpus = 16;
inline constexpr unsigned kMostInstances = 16;
inline constexpr unsigned kMostComputeInstances = 8;
inline constexpr unsigned kMostProcesses = 64;
inline constexpr unsigned kMostXids = 32;
inline constexpr unsigned kMostGroupLimits = 16;

struct ComputeInstanceRecord {
  std::uint32_t serial;  ///< 0: this entry is free; never reused, so that old handles are told
  std::uint32_t id;
  std::uint32_t profile;  ///< NVML's number
  std::uint32_t start, slices;
  char uuid[48];
};

struct InstanceRecord {
  std::uint32_t serial;  ///< as above
  std::uint32_t id;
  std::uint32_t profile;  ///< index into GpuModel::profiles
  std::uint32_t start;
  std::uint64_t busy_us;  ///< of processes that have ended
  std::uint64_t leftover_mib;
  ComputeInstanceRecord compute[kMostComputeInstances];
};

/// Where a process record comes from. What a program does through the stand-in libcuda.so.1 stands
/// in an area of its own (cuda/area.h) and is put among the processes whenever a record is read.
enum Origin : std::uint32_t {
  kPlaced = 0,   ///< a process of this machine, gone when it is
  kPhantom = 1,  ///< exists here only
  kOfCuda = 2,
};

struct ProcessRecord {
  std::uint32_t pid;   ///< 0: this entry is free
  std::uint32_t kind;  ///< as ProcessDetailList::mode: 0 compute, 1 graphics, 2 MPS
  std::uint32_t gpu_instance, compute_instance;  ///< kAnyInstance: on the undivided GPU
  std::uint32_t load_percent;
  std::uint32_t phantom;        ///< Origin
  std::uint64_t process_start;  ///< tells the process from a later one with its number
  std::uint64_t memory_mib;
  std::uint64_t since_us;
};

/// Calls that fail on demand: how many of them are still to fail.
struct Faults {
  std::uint32_t lost, hang, no_permission;  ///< while not 0
  std::uint32_t create, create_compute, destroy, destroy_compute, mode;
};

/// What a control group may have of the GPU's memory, in bytes.
struct GroupLimitRecord {
  char group[240];  ///< its folder; empty: this entry is free
  std::uint64_t soft, hard;
};

struct GpuRecord {
  char model[48];  ///< the catalog's key
  char uuid[48];
  std::uint32_t mig_current, mig_pending, persistence;
  std::uint32_t next_serial;
  std::uint64_t busy_us;  ///< of processes on the undivided GPU that have ended
  std::uint64_t leftover_mib;
  std::uint64_t corrected_ecc, uncorrected_ecc;
  InstanceRecord instances[kMostInstances];
  ProcessRecord processes[kMostProcesses];
  std::uint64_t xid_count;        ///< raised since the machine was made
  std::uint32_t xids[kMostXids];  ///< number n is at n % kMostXids
  Faults faults;
  GroupLimitRecord limits[kMostGroupLimits];
};

struct MachineHeader {
  std::uint64_t magic;
  std::uint32_t gpus;
  abi::Return init_result;  ///< what nvmlInit answers: a driver that is not loaded, …
  char driver_version[80];
  std::uint64_t seed;
  std::uint32_t latency_ms;  ///< before a change takes effect
  std::uint32_t unused;
};

/// Where the area of the stand-in libcuda.so.1 begins, in the same file.
std::uint64_t cuda_area_at();

/// One transaction on the machine; the lock lasts as long as the object.
class MachineFile {
 public:
  enum class Access : std::uint8_t { kRead, kChange };

  /// kDriverNotLoaded where there is no such file, kOperatingSystem where it is none of ours.
  static std::expected<MachineFile, abi::Return> open(const std::string& path, Access access);
  /// Makes the machine of header.gpus GPUs, in place of any that was there.
  static bool create(const std::string& path, const MachineHeader& header, const GpuRecord* gpus);

  MachineFile(MachineFile&& other) noexcept;
  MachineFile(const MachineFile&) = delete;
  MachineFile& operator=(MachineFile&&) = delete;
  MachineFile& operator=(const MachineFile&) = delete;
  ~MachineFile();

  const MachineHeader& header() const { return header_; }
  /// False where the file ends too early.
  bool read(unsigned gpu, GpuRecord& record) const;
  bool write(unsigned gpu, const GpuRecord& record) const;
  bool write_header(const MachineHeader& header) const;
  int file() const { return file_; }

 private:
  explicit MachineFile(int file) : file_(file) {}

  int file_;
  MachineHeader header_{};
};

}  // namespace tessera::fakes
