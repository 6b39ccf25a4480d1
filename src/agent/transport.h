#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/time.h"
#include "fleet/node_protocol.h"

namespace tessera::agent {

/// The way to the control plane, as a port: HTTP in production, a function call in tests.
class Transport {
 public:
  virtual ~Transport() = default;

  /// Hands over the report and asks for the node's target. Answers as soon as there is a target
  /// newer than revision `since`, else with the present one after `wait`. Never blocks much longer
  /// than `wait`, and does not throw. Errors: kUnavailable, kUnauthenticated, kUnknownObject (the
  /// control plane does not know the node) and whatever else it answers.
  virtual base::Result<fleet::NodeTarget> exchange(const fleet::NodeReport& report,
                                                   std::uint64_t since, base::Duration wait) = 0;
};

}  // namespace tessera::agent
