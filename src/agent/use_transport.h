#pragma once

#include "base/result.h"
#include "fleet/use.h"

namespace tessera::agent {

/// The way to whoever keeps account of use, as a port.
class UseTransport {
 public:
  virtual ~UseTransport() = default;
  /// Hands over what is not known to be counted. Bounded in time; does not throw. An error leaves
  /// open whether it was counted: sending it again is harmless.
  virtual base::Result<fleet::UseReceipt> deliver(const fleet::UseReport& report) = 0;
};

}  // namespace tessera::agent
