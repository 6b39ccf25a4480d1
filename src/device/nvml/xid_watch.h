#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "device/nvml/library.h"
#include "device/nvml/patient_thread.h"

namespace tessera::device::nvml {

/// Hears of the GPUs' errors (Xids) as they happen, on a thread of its own. Where the driver has no
/// such events nothing is heard, which is no error. Thread-safe.
class XidWatch {
 public:
  XidWatch(std::shared_ptr<const Library> library,
           const std::vector<std::pair<GpuNumber, abi::Device>>& gpus);
  ~XidWatch();
  XidWatch(const XidWatch&) = delete;
  XidWatch& operator=(const XidWatch&) = delete;

  /// Since the watch began, oldest first, at most sixteen.
  std::vector<int> of(GpuNumber gpu) const;

 private:
  /// Shared with the thread, which may outlive the watch.
  struct Inner {
    std::shared_ptr<const Library> library;
    abi::EventSet set = nullptr;
    std::map<abi::Device, GpuNumber> numbers;
    std::mutex mutex;
    bool stopping = false;
    std::map<GpuNumber, std::vector<int>> heard;
  };
  static void run(const std::shared_ptr<Inner>& inner);

  std::shared_ptr<Inner> inner_ = std::make_shared<Inner>();
  std::optional<PatientThread> thread_;
};

}  // namespace tessera::device::nvml
