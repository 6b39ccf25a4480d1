#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "device/driver.h"
#include "device/nvml/ledger.h"
#include "device/nvml/library.h"
#include "device/nvml/memory_limits.h"
#include "device/nvml/processes.h"

/// One GPU, as NVML shows and changes it. Every call here may take as long as the driver likes, or
/// for ever: only a Worker's thread makes them. Nothing in here is safe for a second thread.
namespace tessera::device::nvml {

/// What the GPUs of one driver share. All of it may be used from several threads.
struct Surroundings {
  std::shared_ptr<const Library> library;
  std::shared_ptr<Processes> processes;
  std::shared_ptr<Ledger> ledger;
  std::shared_ptr<const base::Clock> clock;
  bool read_only = false;
  std::shared_ptr<MemoryLimits> limits;  ///< may be none
};

class Gpu {
 public:
  /// Asks the GPU for all that never changes. Errors: what NVML refuses, kGpuLost among it.
  static std::expected<std::unique_ptr<Gpu>, Error> open(Surroundings surroundings,
                                                         GpuNumber number);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  GpuNumber number() const { return number_; }
  const std::string& uuid() const { return uuid_; }
  abi::Device handle() const { return handle_; }
  bool mig_capable() const { return !profiles_.empty(); }
  bool measures() const { return gpm_; }

  /// How it stands. Instances of ours that were only half made or half destroyed are taken away on
  /// the way: no process can be on them.
  std::expected<GpuState, Error> read();
  /// Whether carrying it out may leave the GPU in another state.
  static bool changes(const Operation& operation) {
    return kind_of(operation) != OperationKind::kReadUse;
  }
  /// Carries out one operation; `id` is not set in the completion.
  Completion apply(const Operation& operation);
  /// Everything that stands here now counts as ours.
  void adopt();

 private:
  struct Profile {
    int number = 0;  ///< NVML's, as in InstanceSpec
    abi::ProfileInfo info{};
    std::vector<abi::Placement> places;
  };
  /// A GPU instance with its first MIG device, if it has one.
  struct Found {
    InstanceSpec spec;
    unsigned id = 0;
    abi::GpuInstance instance{};
    abi::Device device{};
    std::string uuid;  ///< of the device; empty without one
  };
  /// A GPU instance as the driver lists it.
  struct Listed {
    int profile = 0;  ///< as Profile::number
    abi::GpuInstance instance{};
    bool operator==(const Listed&) const = default;
  };
  using SteadyTime = std::chrono::steady_clock::time_point;
  /// How busy something was, in thousandths.
  struct Busy {
    std::optional<int> all, sm, tensor, dram;
  };
  /// When a device was last measured, with the GPM sample that NVML holds for us since.
  struct Measured {
    abi::GpmSample sample = nullptr;
    SteadyTime at;
  };
  using Listing = abi::Return (*)(abi::Device, unsigned*, abi::Process*);

  Gpu(Surroundings surroundings, GpuNumber number, abi::Device handle);

  // gpu.cpp: reading.
  std::optional<Error> learn();
  std::expected<GpuState, Error> look();
  void learn_profiles();
  /// All instances, as they are now.
  std::expected<std::vector<Found>, Error> instances();
  /// The same, where what each is may be known from a few seconds ago.
  std::expected<std::vector<Found>, Error> standing();
  std::expected<std::vector<Listed>, Error> list_instances() const;
  std::vector<Found> look_at(std::vector<Listed> listed);
  void name_devices(std::vector<Found>& found) const;
  std::expected<std::vector<Process>, Error> processes(const std::vector<Found>& found);
  std::optional<Error> list(Listing listing, const std::vector<Found>& found,
                            std::vector<Process>& all) const;
  MiB memory_used(abi::Device device, const std::string& name, bool held);
  std::string name_of(const Found& found) const;
  /// Takes away what `read` found half made; true where something was.
  bool heal(const std::vector<Found>& found);

  // gpu_changes.cpp: none where it is done, and what it made is in the completion.
  std::optional<Error> change(const SetMigMode& mode, Completion& completion);
  std::optional<Error> change(const CreateInstance& create, Completion& completion);
  std::optional<Error> change(const DestroyInstance& destroy, Completion& completion);
  std::optional<Error> change(const Scrub& scrub, Completion& completion);
  std::optional<Error> fill(abi::GpuInstance instance, unsigned slices);
  std::optional<Error> remove(const Found& found);

  // gpu_limits.cpp
  void hold_to_limits(const std::vector<Process>& processes);
  bool limit_group(const std::string& group, const MemoryLimit& limit) const;

  // gpu_use.cpp
  struct Part {
    std::string device;
    MiB memory;
    std::optional<unsigned> instance;  ///< none: the undivided GPU
  };
  std::optional<Error> change(const ReadUse& read, Completion& completion);
  std::expected<GpuState, Error> recent();
  UseSample measure(const Part& part);
  Busy busy_since(Measured& last, const Part& part);
  void measure_tenants(const GpuState& state, Duration span, std::vector<UseSample>& samples);
  std::map<std::uint32_t, int> busy_processes();
  GpuReading reading() const;
  void begin_measuring(const std::vector<Part>& parts);
  abi::GpmSample take(const Part& part);
  void forget_samples_but(const std::vector<Part>& parts);

  const Functions& nvml() const { return around_.library->call(); }

  Surroundings around_;
  GpuNumber number_;
  abi::Device handle_;
  std::string uuid_;
  std::uint32_t pci_id_ = 0;
  unsigned most_devices_ = 0;
  bool gpm_ = false;
  std::vector<Profile> profiles_;                ///< empty: no MIG
  std::map<std::string, MiB> least_used_;        ///< by device, while nothing ran there
  std::map<ControlGroup, MemoryLimit> limited_;  ///< whose processes are here
  std::map<std::string, Measured> measured_;
  std::uint64_t seen_us_ = 0;     ///< the newest sample of a process's use, by the driver's clock
  std::vector<Listed> listed_;    ///< when the instances were last described …
  std::vector<Found> described_;  ///< … and what they were
  std::optional<SteadyTime> described_at_;  ///< none: they must be looked at again
  GpuState last_;                           ///< as last read
  std::optional<SteadyTime> last_read_;
};

}  // namespace tessera::device::nvml
