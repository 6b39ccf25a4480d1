#pragma once

#include <cstdint>
#include <optional>
#include <vector>

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

/// What such a fit gives up, as one number: future options first, then device work, then idle
/// instances. For MIG and vGPU.
double loss_of(const Fit& fit);

/// Thousandths of a GPU that one slice of `candidate` takes, compute or memory, whichever is more.
std::int64_t gpu_part(const Candidate& candidate, const catalog::GpuModel& model);
/// Thousandths of a GPU that shares may still take: 1000 on an empty one, 0 on one that serves
/// another technology.
std::int64_t free_for_shares(const catalog::GpuModel& model, const fleet::Occupancy& occupancy);

/// How many slices like `candidate` such a GPU takes, one after the other: 0 exactly where fit()
/// finds no place, and one less after each slice granted.
std::int64_t room(const catalog::GpuModel& model, const fleet::Pool& pool,
                  const fleet::Occupancy& occupancy, const Candidate& candidate);

/// A GPU of `pool` that nobody holds a part of, as the pool's layout leaves it.
fleet::Occupancy empty_gpu(const fleet::Pool& pool);

/// `occupancy` after the fit was granted.
fleet::Occupancy with(const fleet::Occupancy& occupancy, const Fit& fit);

/// One slice and where it would go.
struct Pick {
  fleet::GpuIndex gpu;
  Fit fit;
};
/// A GPU of one node, with how full it is.
struct NodeGpu {
  fleet::GpuIndex gpu;
  fleet::Occupancy occupancy;
};
/// All `count` slices of `candidate` on the given GPUs of one node: fullest GPUs first, then where
/// each loses least; nothing if they do not all fit. They fit exactly where room() of the GPUs adds
/// up to `count`.
std::optional<std::vector<Pick>> pack(const catalog::GpuModel& model, const fleet::Pool& pool,
                                      std::vector<NodeGpu> gpus, const Candidate& candidate,
                                      int count);

}  // namespace tessera::placement
