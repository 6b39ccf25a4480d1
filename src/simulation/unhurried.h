#pragma once

#include "planning/solver.h"

namespace tessera::simulation {

/// Benchmarks plan until the plan is proven, so that the same seed gives the same figures; the
/// limit, per call of the solver, is there for the case that one never is.
class Unhurried final : public planning::Patience {
 public:
  base::Duration left() const override { return std::chrono::seconds(60); }
};

}  // namespace tessera::simulation
