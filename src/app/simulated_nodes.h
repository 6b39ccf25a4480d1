#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "app/control_plane.h"

namespace tessera::app {

/// A simulated machine and a real agent for every declared node, in this process. Each agent talks
/// to the control plane over HTTP, exactly as one on a machine with GPUs does. Nodes declared
/// later get theirs within a second.
///
/// Threads: one that looks for new nodes, one per node.
class SimulatedNodes {
 public:
  SimulatedNodes(ControlPlane& plane, std::shared_ptr<const catalog::Catalog> catalog);
  ~SimulatedNodes();
  SimulatedNodes(const SimulatedNodes&) = delete;
  SimulatedNodes& operator=(const SimulatedNodes&) = delete;

 private:
  class Node;
  struct Wanted {
    std::string name;
    std::vector<catalog::ModelIndex> gpus;
  };

  void run(const std::stop_token& stopping);
  void adopt_new();

  ControlPlane& plane_;
  std::shared_ptr<const catalog::Catalog> catalog_;
  SteadyClock clock_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;  ///< of the thread alone
  std::jthread thread_;                                 ///< last: it uses all of the above
};

}  // namespace tessera::app
