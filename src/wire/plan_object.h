#pragma once

#include "catalog/gpu_model.h"
#include "planning/plan.h"
#include "wire/json.h"

namespace tessera::wire {

/// A plan as `tessera plan -o json` prints it (docs/planning.md).
Json plan_object(const planning::Problem& problem, const planning::Plan& plan,
                 const catalog::Catalog& catalog);

}  // namespace tessera::wire
