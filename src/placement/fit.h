#pragma once

#include <cstdint>
#include <optional>

#include "catalog/gpu_model.h"
#include "fleet/gpu.h"
#include "fleet/pool.h"
#include "placement/match.h"

/// Whether one slice fits on one GPU: the single rule that placing, explaining and forecasting
/// share.
namespace tessera::placement {

struct Fit {
  fleet::SliceShape shape;
  /// Future options given up by placing here (catalog::LayoutTable::openness before - after); for
  /// shares, what is left over in the GPU. Smaller is better; comparable within one technology.
  std::int64_t loss = 0;
  bool creates = true;          ///< false: an idle slice of this shape is taken over
  catalog::Layout retires = 0;  ///< idle MIG instances that make room
  friend bool operator==(const Fit&, const Fit&) = default;
};

/// The best way to put `candidate` on a GPU of `pool` that is `occupancy` full. Pure.
std::optional<Fit> fit(const catalog::GpuModel& model, const fleet::Pool& pool,
                       const fleet::Occupancy& occupancy, const Candidate& candidate);

/// `occupancy` after the fit was granted.
fleet::Occupancy with(const fleet::Occupancy& occupancy, const Fit& fit);

}  // namespace tessera::placement
