#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "catalog/gpu_model.h"
#include "fakes/nvml/machine_file.h"

/// What the driver allows on one GPU: modes, GPU instances, compute instances. Pure functions over
/// a GPU's record and its model; the legal placements are the catalog's.
///
/// The changes below answer as NVML does and change nothing unless they answer kSuccess.
namespace tessera::fakes {

/// Pending takes effect at once on an idle GPU. On one in use, boards that keep the mode (Ampere)
/// remember it for the next reset; `activation` says why it is not in force.
abi::Return set_mig_mode(GpuRecord& gpu, const catalog::GpuModel& model, bool enabled,
                         abi::Return& activation);

/// The instance with that place in the catalog's numbering; none where nothing is free.
/// Without `start` the driver's own choice: the highest start that is free, so that the order of
/// creation decides what fits.
std::optional<catalog::InstanceIndex> find_room(const GpuRecord& gpu,
                                                const catalog::GpuModel& model, std::size_t profile,
                                                std::optional<unsigned> start);
unsigned remaining(const GpuRecord& gpu, const catalog::GpuModel& model, std::size_t profile);

abi::Return create_instance(GpuRecord& gpu, const catalog::GpuModel& model, std::size_t profile,
                            std::optional<unsigned> start, InstanceRecord*& made);
abi::Return destroy_instance(GpuRecord& gpu, InstanceRecord& instance);

/// A compute instance profile that GPU instances of one kind offer.
struct ComputeProfile {
  unsigned number;  ///< NVML's, which is its id as well
  unsigned slices;
  unsigned instances;  ///< at most so many in one GPU instance
};
std::vector<ComputeProfile> compute_profiles(const catalog::MigProfile& profile);
std::optional<ComputeProfile> find_compute_profile(const catalog::MigProfile& profile,
                                                   unsigned number);
/// Places where one more of it fits, by rising start.
std::vector<unsigned> free_compute_starts(const InstanceRecord& instance,
                                          const ComputeProfile& profile);
abi::Return create_compute(GpuRecord& gpu, InstanceRecord& instance, const ComputeProfile& profile,
                           std::optional<unsigned> start, ComputeInstanceRecord*& made);
abi::Return destroy_compute(GpuRecord& gpu, InstanceRecord& instance, ComputeInstanceRecord& made);

}  // namespace tessera::fakes
