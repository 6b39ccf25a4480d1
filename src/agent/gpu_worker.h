#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/gpu_plan.h"
#include "agent/options.h"
#include "device/driver.h"

/// Brings one GPU to its target, one operation at a time, and knows how that is going.
///
///          submit                     ended
///   idle ----------> one underway ----------> idle        (done: forget its failures)
///    ^                    |                               (refused: wait, longer each time)
///    |   answers again    |  no answer in time
///    +------------------ hung: nothing is submitted, the GPU is quarantined
///
/// What fails `most_failures` times fails its slices and quarantines the GPU, and is still tried
/// with the longest wait, so that a GPU that recovers comes back by itself. kInUse is never the
/// GPU's fault: it is retried without counting.
namespace tessera::agent {

class GpuWorker {
 public:
  /// Reports the outcome of the operation underway, if it is this one.
  void on_completion(const device::Completion& completion, base::Instant now,
                     const AgentOptions& options);

  /// What may be submitted now, if anything.
  struct Turn {
    std::optional<device::Operation> submit;
    fleet::GpuReport report;               ///< without the number, which the Agent knows
    std::optional<base::Instant> wake_at;  ///< when a wait of this GPU is over
  };
  Turn turn(const fleet::GpuTarget& target, const device::GpuState& state,
            const catalog::GpuModel* model, const device::Capabilities& can, base::Instant now,
            const AgentOptions& options);
  /// The same generations will mean other slices: nothing that was verified counts any more.
  void forget_generations();
  /// As turn, while the target is not known: nothing is changed.
  fleet::GpuReport look(const device::GpuState& state, base::Instant now);

  /// The operation of the last turn was accepted.
  void submitted(device::OperationId id, const device::Operation& operation);
  bool busy() const { return call_.has_value(); }

 private:
  struct Call {
    device::OperationId id = 0;
    std::vector<std::uint64_t> serves;
  };
  struct Trouble {
    int failures = 0;  ///< in a row
    int counted = 0;   ///< of these, those that speak against the GPU
    base::Instant retry_at{};
    std::string detail;
  };
  struct Quarantine {
    device::OperationKind kind{};
    std::string detail;
    base::Instant until{};
  };

  void note_success();
  void note_failure(const device::Error& error, base::Instant now, const AgentOptions& options);
  void forget_what_is_gone(const fleet::GpuTarget& target, const GpuPlan& plan);
  void tell_trouble(GpuPlan& plan, const AgentOptions& options) const;
  std::optional<base::Instant> limit_patience(const fleet::GpuTarget& target, GpuPlan& plan,
                                              base::Instant now, const AgentOptions& options);
  void remember_prepared(const fleet::GpuTarget& target, const GpuPlan& plan);
  fleet::GpuReport describe(const device::GpuState& state, base::Instant now) const;

  GpuMemory memory_;
  std::optional<Call> call_;                   ///< its completion has not come
  std::optional<device::Operation> underway_;  ///< its effect may still come; outlives a timeout
  std::vector<Step> last_steps_;
  std::map<device::Operation, Trouble> troubles_;
  std::optional<Quarantine> quarantine_;
  std::map<std::uint64_t, base::Instant> waiting_since_;
};

}  // namespace tessera::agent
