#pragma once

#include "base/random.h"
#include "simulation/agenda.h"
#include "simulation/auditor.h"
#include "simulation/control_plane.h"
#include "simulation/faults.h"
#include "simulation/network.h"

namespace tessera::simulation {

/// Everything that goes wrong, at random and counted by name, until calm() puts an end to it. Also
/// the technician who repairs what does not heal by itself.
class Trouble {
 public:
  /// Called when an agent process or the control plane was started: it wants to be run.
  struct Wakers {
    std::function<void(Node&)> agent;
    std::function<void()> control;
  };

  Trouble(Agenda& agenda, Network& network, ControlPlane& control, const Nodes& nodes,
          base::Random& random, FaultCounts& faults, Wakers wakers);

  void start();
  void calm();

 private:
  void strike();
  void strike_node(Node& node);
  void strike_device(Node& node, device::GpuNumber gpu);
  void strike_control();
  void kill_control();
  void fail_append();
  void write_off(Node& node);
  void declare(const control::PutNode& node);
  void restart_agent(Node& node, Duration away);
  void repair();
  void repair_gpu(const std::string& name);
  Node& some_node();

  Agenda& agenda_;
  Network& network_;
  ControlPlane& control_;
  const Nodes& nodes_;
  base::Random& random_;
  FaultCounts& faults_;
  Wakers wakers_;
  bool calm_ = false;
};

}  // namespace tessera::simulation
