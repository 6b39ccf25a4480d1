#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "catalog/gpu_model.h"
#include "device/simulated/gpu.h"

/// A simulated machine with GPUs. It stays what it is while agents and drivers come and go: its
/// instances, its processes, and operations that a driver started and did not wait for.
///
/// Time: the machine reads the Clock it was given and carries out what has become due whenever it
/// is looked at, in order of due time. It has no thread, so it lives under a virtual clock as well
/// as under the real one.
///
/// Threads: a machine, its Driver and the agent above belong to one thread.
namespace tessera::device::simulated {

/// How long operations take.
struct Latencies {
  Duration mode = std::chrono::seconds(1);
  Duration create = std::chrono::milliseconds(300);
  Duration destroy = std::chrono::milliseconds(200);
  Duration scrub = std::chrono::milliseconds(100);
  Duration read = std::chrono::milliseconds(5);
};

struct MachineOptions {
  std::vector<catalog::ModelIndex> gpus;  ///< one entry per GPU
  std::uint64_t seed = 1;                 ///< of UUIDs, boot ids and synthetic use
  Latencies latencies{};
};

/// The next `times` operations of `kind` on `gpu` fail with `code`, without effect.
struct InjectedFailure {
  GpuNumber gpu = 0;
  OperationKind kind{};
  ErrorCode code{};
  int times = 1;
};

class Machine {
 public:
  Machine(std::shared_ptr<const catalog::Catalog> catalog, const base::Clock& clock,
          const MachineOptions& options);

  // What runs on it.

  /// Errors: kNotFound (no such device), kWrongOrder, kNoRoom (memory), kGpuLost.
  std::expected<std::uint32_t, Error> start(const Program& program);
  bool stop(std::uint32_t pid);
  /// How things stand now, a driver's hung calls aside.
  Observation observe();

  // Faults.

  void fail_next(const InjectedFailure& failure);
  /// The next operation handed to the GPU hangs, and all behind it, until release() or reboot().
  void hang_next(GpuNumber gpu);
  void release(GpuNumber gpu);
  void lose(GpuNumber gpu);
  void raise_xid(GpuNumber gpu, int code);
  /// Memory of `device` reads as used, without a process, for `span`.
  void leave_memory(GpuNumber gpu, const std::string& device, MiB amount, Duration span);
  /// Instances, processes and running operations are gone; the boot id is new; lost GPUs are back.
  void reboot();

  // For the Driver.

  using Session = std::uint64_t;
  Session open();
  /// What the session started goes on; nobody hears of its end.
  void close(Session session);
  bool has(GpuNumber gpu) const { return gpu < gpus_.size(); }
  void enqueue(Session session, OperationId id, const Operation& operation);
  /// Ended operations of a session, in order of ending.
  std::vector<Completion> collect(Session session);
  /// When the next operation of any session ends; absent if none runs or all hang.
  std::optional<Instant> next_due() const;
  Instant now() const { return clock_->now(); }

 private:
  struct Job {
    Session session = 0;
    OperationId id = 0;
    Operation operation;
    Instant due{};
    bool hangs = false;
  };
  /// A GPU and the operations waiting for it; the driver lets one in at a time.
  struct Bay {
    Gpu gpu;
    std::deque<Job> jobs;
    std::vector<InjectedFailure> failures;
    bool hang_next = false;
  };

  /// Carries out all that is due by now.
  void advance();
  Bay* earliest(Instant until);
  void finish(Bay& bay);
  void schedule(Bay& bay, Instant from);
  std::optional<Error> injected(Bay& bay, OperationKind kind);
  Duration latency_of(OperationKind kind) const;

  std::shared_ptr<const catalog::Catalog> catalog_;
  const base::Clock* clock_;
  Latencies latencies_;
  std::uint64_t seed_;
  base::SeededRandom random_;
  std::string boot_;
  std::vector<Bay> gpus_;
  std::uint32_t next_pid_ = 1000;
  Session next_session_ = 1;
  std::map<Session, std::vector<Completion>> mailboxes_;
};

}  // namespace tessera::device::simulated
