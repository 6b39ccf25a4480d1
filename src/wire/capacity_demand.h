#pragma once

#include <string>
#include <string_view>

#include "control/capacity_demand.h"
#include "wire/parse.h"

/// CapacityDemand documents: what is asked for, and what GPUs and licences cost (docs/capacity.md
/// has the schema). Strict like every document of this room.
namespace tessera::wire {

/// Exactly one document of kind CapacityDemand.
base::Result<control::CapacityDemand> decode_capacity_demand(std::string_view text,
                                                             const std::string& source,
                                                             const catalog::Catalog& catalog,
                                                             Limits limits = {});

}  // namespace tessera::wire
