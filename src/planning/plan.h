#pragma once

#include <vector>

#include "planning/optimise.h"
#include "planning/problem.h"
#include "planning/steps.h"

/// The plan for a fleet: which GPUs get which layout, what that serves, and how to get there.
namespace tessera::planning {

/// Items of a demand that are served by instances of a kind.
struct Service {
  std::size_t demand = 0;
  Kind kind;
  std::int64_t items = 0;
};

/// Values and weights in millionths.
struct Plan {
  std::int64_t served = 0, served_bound = 0;
  std::int64_t moved = 0, moved_bound = 0;
  std::int64_t changed = 0, changed_bound = 0;
  bool proven = false;
  bool feasible = true;  ///< false: what is booked leaves no room for the leases, or none was found
  std::vector<Assignment> layouts;  ///< by class, covering each of its GPUs once
  std::vector<Service> services;    ///< by demand
  Change change;
};

/// Deterministic as long as patience lasts.
Plan make_plan(const Problem& problem, const catalog::Catalog& catalog, const SolverFactory& solver,
               const Patience& patience);

}  // namespace tessera::planning
