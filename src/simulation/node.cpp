#include "simulation/node.h"

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;

/// Rarer looks than in production: a simulated hour costs less, and a change is seen all the same,
/// because every message and every completion wakes the agent.
agent::AgentOptions agent_options() {
  agent::AgentOptions options;
  options.heartbeat = 20s;
  options.look_every = 10s;
  options.patience = 4min;
  options.quarantine = 3min;
  return options;
}

}  // namespace

Node::Node(const PlannedNode& plan, std::shared_ptr<const catalog::Catalog> catalog,
           const Agenda& agenda, std::uint64_t seed)
    : name_(plan.name),
      gpus_(static_cast<std::uint16_t>(plan.gpus)),
      catalog_(std::move(catalog)),
      machine_(
          catalog_, agenda.clock(),
          {.gpus = std::vector(static_cast<std::size_t>(plan.gpus), plan.model), .seed = seed}) {
  start_agent();
}

void Node::start_agent() {
  stop_agent();
  driver_ = std::make_unique<device::simulated::SimulatedDriver>(machine_);
  agent_ = std::make_unique<agent::Agent>(name_, *driver_, catalog_, agent_options());
  ++session_;
}

void Node::stop_agent() {
  agent_.reset();
  driver_.reset();
}

void Node::power_off() {
  stop_agent();
  machine_.reboot();
}

}  // namespace tessera::simulation
