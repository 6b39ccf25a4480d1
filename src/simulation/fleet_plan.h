#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "catalog/gpu_model.h"
#include "control/command.h"

namespace tessera::simulation {

/// One machine to be built.
struct PlannedNode {
  std::string name;
  catalog::ModelIndex model;
  int gpus = 0;
};

/// A fleet and its tenants: what an operator's first `apply` would say, and the machines it means.
struct FleetPlan {
  control::Apply documents;
  std::vector<PlannedNode> nodes;
  std::vector<std::string> pools;
  std::vector<std::string> models;  ///< keys, one per pool
  std::vector<std::string> teams;
};

/// A small random fleet: one to four pools of mixed models, four tiers with short leases, a few
/// teams of which some are limited.
FleetPlan random_fleet(const catalog::Catalog& catalog, base::Random& random);

/// A team's document with limits chosen anew.
tenancy::Team random_team(const std::string& name, const FleetPlan& plan, base::Random& random);

}  // namespace tessera::simulation
