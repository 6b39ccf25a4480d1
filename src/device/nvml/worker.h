#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "device/nvml/gpu.h"
#include "device/nvml/patient_thread.h"

/// The thread of one GPU: the only one that makes NVML calls for it.
///
///                    what it does now takes longer than the call timeout
///   answering  ------------------------------------------------------------>  hung
///       ^                                                                       |
///       +---------------- the call comes back; the state is read anew ----------+
///
/// A GPU whose state cannot be read three times in a row counts as hung as well.
///
/// A hung call costs its GPU and nothing else: what waits behind it ends with kTimeout, and its own
/// result, should it ever come, is dropped. Thread-safe.
namespace tessera::device::nvml {

class Worker {
 public:
  using Clock = std::chrono::steady_clock;

  /// `first` is the state as just read.
  Worker(std::unique_ptr<Gpu> gpu, GpuState first, Duration call_timeout);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void submit(OperationId id, const Operation& operation);
  /// Ended operations, those that have waited too long among them.
  std::vector<Completion> collect();
  /// Operations that were neither collected nor, if they hang, have come back.
  std::size_t in_flight() const;

  /// Wants the state to be read anew.
  void ask();
  /// Until that has been done, or `until`. Does not wait for a worker that is busy with an
  /// operation, nor for a read that has taken longer than `patience` already.
  void wait_until(Clock::time_point until, Duration patience);
  /// As last read, with the condition of this moment.
  GpuState state() const;

 private:
  struct Job {
    OperationId id = 0;
    Operation operation;
    Clock::time_point deadline;
  };
  /// Shared with the thread, which may outlive the Worker.
  struct Inner {
    Inner(std::unique_ptr<Gpu> owned, GpuState first)
        : gpu(std::move(owned)), state(std::move(first)) {}

    std::unique_ptr<Gpu> gpu;  ///< of the thread alone
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;
    std::deque<Job> jobs;
    std::optional<Job> running;
    std::optional<Clock::time_point> calling_since;
    bool abandoned = false;  ///< the running operation was already reported as timed out
    std::uint64_t asked = 0, looked = 0;
    int failed_looks = 0;  ///< in a row; of the thread alone
    std::vector<Completion> ended;
    GpuState state;
  };

  static void run(const std::shared_ptr<Inner>& inner);
  static GpuState look(Inner& inner, const GpuState& last);
  bool hung() const;

  Duration call_timeout_;
  std::shared_ptr<Inner> inner_;
  PatientThread thread_;
};

}  // namespace tessera::device::nvml
