#pragma once

#include "control/invariants.h"

namespace tessera::control {

/// What holds of the plan that is being applied: its unfinished moves keep their GPUs marked, no
/// other GPU is marked, and a slice arrives for a lease exactly where the plan prepares it.
class PlanKeepsItsWord final : public Invariant {
 public:
  std::string_view name() const override { return "PlanKeepsItsWord"; }
  std::optional<std::string> check(const State& state, const Record& record) override;
};

}  // namespace tessera::control
