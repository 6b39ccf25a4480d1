#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/gpu_model.h"

namespace tessera::catalog {

/// Reads data/gpu_models.json (its format: data/README.md) and refuses what contradicts itself:
/// unknown or missing keys, sizes that are not positive, placements beyond the axis or overlapping
/// their own kind, a figure without confidence or a confidence without figure, a name or PCI id
/// used twice. The error names the place as a path ("models[3].mig.profiles[1 (2g.20gb)].sms").
///
/// Used by the generator at build time only, so that the catalog itself needs no JSON. The models
/// come back with their `layouts` still empty.
base::Result<std::vector<GpuModel>> read_models(std::string_view json);

}  // namespace tessera::catalog
