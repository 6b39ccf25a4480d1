#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "device/driver.h"
#include "device/nvml/processes.h"
#include "device/nvml/worker.h"
#include "device/nvml/xid_watch.h"

/// The Driver over NVIDIA's libnvidia-ml.so.1: real GPUs, or the stand-in of fakes/nvml.
///
/// Every GPU has a thread that makes all NVML calls for it, so that one that hangs keeps nobody
/// else. observe() has every idle GPU read anew and waits for that a quarter of a second at most,
/// once: a GPU that is busy or slow is shown as last read.
///
/// Instances that this driver, or an earlier one of the same ledger, did not make are `foreign`:
/// shown, and never destroyed.
namespace tessera::device::nvml {

struct NvmlOptions {
  std::string library = "libnvidia-ml.so.1";
  std::string ledger;      ///< file of the instances we made; empty: forgotten with the driver
  bool adopt = false;      ///< whatever instances stand at the start count as ours
  bool read_only = false;  ///< for looking only: not even half-made instances are taken away
  Duration call_timeout = std::chrono::seconds(10);   ///< then a call counts as hung
  Duration start_timeout = std::chrono::seconds(60);  ///< for finding the GPUs
  std::size_t max_in_flight = 64;
  std::shared_ptr<MemoryLimits> limits;  ///< that the driver is to keep where it can; may be none
};

class NvmlDriver final : public Driver {
 public:
  /// Loads the library and finds the GPUs. Errors say what is missing: the library, the kernel
  /// driver, a permission, a GPU, an answer in time. Processes and clock
  /// are shared with threads that a hung call may leave behind.
  static base::Result<std::unique_ptr<NvmlDriver>> open(const NvmlOptions& options,
                                                        std::shared_ptr<Processes> processes,
                                                        std::shared_ptr<const base::Clock> clock);

  Capabilities capabilities() const override;
  std::expected<OperationId, Error> submit(Operation operation) override;
  std::vector<Completion> poll() override;
  Observation observe() override;

  const Library& library() const { return *library_; }

 private:
  struct Opened {
    std::unique_ptr<Gpu> gpu;
    GpuState state;
  };
  struct Machine {
    std::shared_ptr<const Library> library;
    std::vector<Opened> gpus;
  };

  NvmlDriver(const NvmlOptions& options, Machine machine);
  static base::Result<Machine> find_gpus(const NvmlOptions& options,
                                         std::shared_ptr<Processes> processes,
                                         std::shared_ptr<const base::Clock> clock);

  NvmlOptions options_;
  std::shared_ptr<const Library> library_;
  Capabilities capabilities_;
  std::map<GpuNumber, std::unique_ptr<Worker>> workers_;
  std::unique_ptr<XidWatch> xids_;
  OperationId next_id_ = 1;
};

}  // namespace tessera::device::nvml
