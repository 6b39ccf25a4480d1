#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "fleet/fleet.h"

namespace tessera::service {

/// When each node last reported. Not part of the state: who has just started blames nobody for the
/// time it was away itself, so every node has a fresh grace at the start, and again whenever this
/// process was stopped or its clock was set (two looks further apart than half the grace).
///
/// Threads: one.
class NodeWatch {
 public:
  NodeWatch(base::Duration grace, base::Instant now) : grace_(grace), last_look_(now) {}

  void heard(std::string_view node, base::Instant now);

  /// Nodes that are taken for ready but did not report within the grace. A node is named again
  /// only after another grace, should it still be taken for ready then.
  std::vector<std::string> look(const fleet::Fleet& fleet, base::Instant now);

 private:
  base::Duration grace_;
  base::Instant last_look_;
  std::map<std::string, base::Instant, std::less<>> last_heard_;  ///< of ready nodes
};

}  // namespace tessera::service
