#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/random.h"
#include "simulation/agenda.h"
#include "simulation/faults.h"

namespace tessera::simulation {

/// The wires between nodes and control plane. In a storm messages are lost, doubled and late, so
/// late that they overtake each other; in calm they only take a little time. A link that is cut
/// carries nothing in either direction, and nobody is told.
class Network {
 public:
  Network(Agenda& agenda, base::Random& random, FaultCounts& faults)
      : agenda_(agenda), random_(random), faults_(faults) {}

  /// Delivers by calling `deliver`, perhaps never, perhaps twice.
  void send(const std::string& node, const std::function<void()>& deliver);

  void cut(const std::string& node) { cut_[node] = true; }
  void mend(const std::string& node) { cut_.erase(node); }
  void calm();

 private:
  Agenda& agenda_;
  base::Random& random_;
  FaultCounts& faults_;
  std::map<std::string, bool> cut_;
  bool storm_ = true;
};

}  // namespace tessera::simulation
