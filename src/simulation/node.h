#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/agent.h"
#include "device/simulated/driver.h"
#include "device/simulated/machine.h"
#include "simulation/agenda.h"
#include "simulation/fleet_plan.h"

namespace tessera::simulation {

/// One machine with its GPUs and the agent process on it. The machine stays what it is while agent
/// processes come and go.
class Node {
 public:
  Node(const PlannedNode& plan, std::shared_ptr<const catalog::Catalog> catalog,
       const Agenda& agenda, std::uint64_t seed);

  const std::string& name() const { return name_; }
  device::simulated::Machine& machine() { return machine_; }
  std::uint16_t gpus() const { return gpus_; }

  /// Null while the agent process is not running.
  agent::Agent* agent() { return agent_.get(); }
  /// Counts the agent processes so far: what was meant for an earlier one does not reach this one.
  std::uint64_t session() const { return session_; }
  void start_agent();
  void stop_agent();
  /// Loses power: everything that ran is gone when start_agent() is called.
  void power_off();

 private:
  std::string name_;
  std::uint16_t gpus_;
  std::shared_ptr<const catalog::Catalog> catalog_;
  device::simulated::Machine machine_;
  std::unique_ptr<device::simulated::SimulatedDriver> driver_;
  std::unique_ptr<agent::Agent> agent_;
  std::uint64_t session_ = 0;
};

}  // namespace tessera::simulation
