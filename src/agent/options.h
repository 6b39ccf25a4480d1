#pragma once

#include "base/time.h"

namespace tessera::agent {

struct AgentOptions {
  base::Duration heartbeat = std::chrono::seconds(3);   ///< a report at least so often
  base::Duration look_every = std::chrono::seconds(1);  ///< at the devices, with nothing to do
  /// For ended operations, where the driver cannot say when they end.
  base::Duration poll_every = std::chrono::milliseconds(50);

  base::Duration first_retry = std::chrono::milliseconds(200);  ///< doubles with every failure
  base::Duration longest_retry = std::chrono::seconds(10);
  int most_failures = 5;  ///< of one operation, before the slice fails and the GPU is quarantined
  /// How long a slice may wait for something that is in its way before it is reported as failed.
  base::Duration patience = std::chrono::minutes(5);
  /// How long a GPU stays quarantined after an operation kept failing there and is not tried again.
  base::Duration quarantine = std::chrono::minutes(10);
};

}  // namespace tessera::agent
