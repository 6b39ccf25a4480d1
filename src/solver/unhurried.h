#pragma once

#include <chrono>

#include "planning/solver.h"

/// For tests: patience that does not end.
namespace tessera::planning {

class Unhurried final : public Patience {
 public:
  base::Duration left() const override { return std::chrono::seconds(60); }
};

}  // namespace tessera::planning
