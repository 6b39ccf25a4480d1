#include "app/simulated_nodes.h"

#include <condition_variable>
#include <optional>

#include <spdlog/spdlog.h>

#include "agent/agent.h"
#include "agent/runner.h"
#include "agent/use_sender.h"
#include "client/agent_transport.h"
#include "client/use_transport.h"
#include "device/simulated/driver.h"
#include "device/simulated/machine.h"

namespace tessera::app {

using namespace std::chrono_literals;

/// One node: machine, driver, agent, and the thread that runs it.
class SimulatedNodes::Node {
 public:
  Node(const Wanted& wanted, std::shared_ptr<const catalog::Catalog> catalog,
       const base::Clock& clock, client::Context context)
      : machine_(catalog, clock,
                 {.gpus = wanted.gpus, .seed = std::hash<std::string>{}(wanted.name)}),
        driver_(machine_),
        agent_(wanted.name, driver_, catalog),
        transport_(context),
        uses_(std::move(context)),
        meter_(catalog, file_.load(unused_)),
        sender_(wanted.name, meter_, file_, uses_) {
    agent_.measure(meter_);
    runner_.emplace(agent_, transport_, clock);
  }

  /// Tells what was used, where that is due.
  void tell(base::Instant now) { sender_.turn(now); }

 private:
  device::simulated::Machine machine_;
  device::simulated::SimulatedDriver driver_;
  agent::Agent agent_;
  client::AgentTransport transport_;
  client::HttpUseTransport uses_;
  std::string unused_;                  ///< nothing is read, so nothing can be wrong
  agent::UseFile file_{std::string()};  ///< none: what is pretended need not be kept
  agent::Meter meter_;
  agent::UseSender sender_;
  std::optional<agent::Runner> runner_;  ///< last: it uses all of the above
};

SimulatedNodes::SimulatedNodes(ControlPlane& plane, std::shared_ptr<const catalog::Catalog> catalog)
    : plane_(plane),
      catalog_(std::move(catalog)),
      thread_([this](const std::stop_token& stopping) { run(stopping); }) {}

SimulatedNodes::~SimulatedNodes() = default;

void SimulatedNodes::run(const std::stop_token& stopping) {
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!stopping.stop_requested()) {
    adopt_new();
    for (const auto& [name, node] : nodes_) {
      if (stopping.stop_requested()) break;
      node->tell(clock_.now());
    }
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stopping, 1s, [] { return false; });
  }
  nodes_.clear();
}

void SimulatedNodes::adopt_new() {
  const auto wanted = plane_.engine().read([&](const control::State& state) {
    std::vector<Wanted> found;
    for (const auto& node : state.fleet().nodes()) {
      if (node.name.empty() || nodes_.contains(node.name)) continue;
      const auto model = state.fleet().pool(node.pool).model;
      found.push_back({node.name, std::vector(node.gpus.size(), model)});
    }
    return found;
  });
  for (const auto& one : wanted) {
    auto token = plane_.agent_token(one.name);
    if (!token) {
      spdlog::warn("no token for the agent of {}: {}", one.name, base::to_string(token.error()));
      return;
    }
    client::Context context{plane_.context().server, std::move(*token), plane_.context().trust};
    nodes_.emplace(one.name, std::make_unique<Node>(one, catalog_, clock_, std::move(context)));
  }
}

}  // namespace tessera::app
