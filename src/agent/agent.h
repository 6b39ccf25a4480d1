#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/gpu_worker.h"
#include "agent/meter.h"
#include "agent/options.h"
#include "agent/share_keeper.h"
#include "base/time.h"
#include "catalog/gpu_model.h"
#include "device/driver.h"
#include "fleet/node_protocol.h"

/// The agent of one node: makes the node what its target says, and tells what the node is.
///
/// It is a function of (target, devices): nothing it remembers is needed to continue correctly, so
/// it may be killed and started again at any moment. Without a control plane it keeps to the last
/// target; without any target it changes nothing.
///
/// 1. A report never calls a slice ready whose device does not exist at that moment.
/// 2. An instance that a process holds, or that the target wants, is never destroyed.
/// 3. Trouble on one GPU never stops another.
/// 4. A target older than one already seen is ignored; the same one again changes nothing.
/// 5. A target of another incarnation of the control plane may mean other slices by the same
///    generations: what was verified under the one before is verified again.
///
/// No threads, no clock, no network: its owner calls tick() when told to (Runner, simulation).
namespace tessera::agent {

class Agent {
 public:
  /// The driver must outlive the agent.
  Agent(std::string node, device::Driver& driver, std::shared_ptr<const catalog::Catalog> catalog,
        AgentOptions options = {});

  /// What the control plane wants. Takes effect with the next tick, which is due at once.
  void on_target(const fleet::NodeTarget& target);

  /// From now on what the devices do is measured. The meter must outlive the agent.
  void measure(Meter& meter) { meter_ = &meter; }

  /// From now on leases are held to their shares, and a share that nobody can be held to is not
  /// ready. The keeper must outlive the agent.
  void hold_to_shares(ShareKeeper& keeper) { keeper_ = &keeper; }

  struct Step {
    std::optional<fleet::NodeReport> report;  ///< to be sent: something changed, or a heartbeat
    base::Instant wake{};                     ///< call tick() again then, or when a target comes
  };
  Step tick(base::Instant now);

  const std::string& node() const { return node_; }
  /// Of the newest target seen; 0: none. The `since` of the next exchange.
  std::uint64_t revision() const { return target_ ? target_->revision : 0; }
  fleet::Moment moment() const { return target_ ? target_->moment() : fleet::Moment{}; }

 private:
  void hear_completions(base::Instant now);
  void notice_boot(const device::Observation& observation);
  std::vector<fleet::GpuReport> work(const device::Observation& observation, base::Instant now);
  fleet::GpuReport work_on(const fleet::GpuTarget& target, const device::GpuState& state,
                           base::Instant now);
  void keep_shares(const device::Observation& observation, std::vector<fleet::GpuReport>& reports);
  void note_holdings(const fleet::GpuTarget& target, const fleet::GpuReport& report,
                     const catalog::GpuModel& model);
  fleet::LeaseId highest_lease(const device::Observation& observation) const;
  std::optional<fleet::NodeReport> report(fleet::NodeReport fresh, base::Instant now);

  std::string node_;
  device::Driver* driver_;
  std::shared_ptr<const catalog::Catalog> catalog_;
  AgentOptions options_;
  std::optional<fleet::NodeTarget> target_;

  std::string boot_;
  std::map<std::string, GpuWorker> workers_;          ///< by the GPU's UUID
  std::map<device::OperationId, std::string> calls_;  ///< whose operation it is
  base::Instant wake_{};
  Meter* meter_ = nullptr;         ///< may be none
  ShareKeeper* keeper_ = nullptr;  ///< may be none
  std::vector<Holding> holdings_;  ///< of this tick

  std::uint64_t heard_process_ = 0;  ///< of the control plane
  std::uint64_t session_ = 0;  ///< when it first ticked: no two agents of a node start together
  std::uint64_t sequence_ = 0;
  std::optional<fleet::NodeReport> last_report_;
  base::Instant last_sent_{};
};

}  // namespace tessera::agent
