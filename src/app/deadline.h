#pragma once

#include <algorithm>
#include <chrono>

#include "planning/solver.h"

namespace tessera::app {

/// Patience that ends at a point in time.
class Deadline final : public planning::Patience {
 public:
  explicit Deadline(base::Duration limit) : begun_(Clock::now()), end_(begun_ + limit) {}
  base::Duration left() const override {
    const auto left = std::chrono::duration_cast<base::Duration>(end_ - Clock::now());
    return std::max(left, base::Duration{});
  }
  /// Seconds since it began.
  double spent() const { return std::chrono::duration<double>(Clock::now() - begun_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begun_, end_;
};

}  // namespace tessera::app
