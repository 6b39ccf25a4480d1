#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "catalog/gpu_model.h"
#include "planning/problem.h"
#include "wire/parse.h"

/// PlanInput documents: a fleet as it is, and what is asked of it (docs/planning.md has the
/// schema). Strict like every document of this room; what contradicts itself is refused.
namespace tessera::wire {

struct PlanInput {
  planning::Problem problem;
  std::vector<std::string> demand_names;  ///< "5 x 2g.20gb", "2 x 18GiB, 30 SMs": for people
};

/// Exactly one document of kind PlanInput.
base::Result<PlanInput> decode_plan_input(std::string_view text, const std::string& source,
                                          const catalog::Catalog& catalog, Limits limits = {});

}  // namespace tessera::wire
