#pragma once

#include "base/time.h"

namespace tessera::device::simulated {

/// A clock that moves only when told to, for tests of devices and agents.
class HandClock final : public base::Clock {
 public:
  base::Instant now() const override { return now_; }
  void pass(base::Duration span) { now_ += span; }

 private:
  base::Instant now_{std::chrono::hours(24 * 365 * 56)};
};

}  // namespace tessera::device::simulated
