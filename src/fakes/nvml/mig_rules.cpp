#include "fakes/nvml/mig_rules.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "base/random.h"
#include "device/simulated/synthetic.h"

namespace tessera::fakes {
namespace {

constexpr std::size_t kDefaultComputeOf1gDouble = 7;  // 1_SLICE_REV1, as a GH200's driver says

bool exists(const InstanceRecord& instance) {
  return instance.serial != 0;
}
bool exists(const ComputeInstanceRecord& compute) {
  return compute.serial != 0;
}

bool has_instances(const GpuRecord& gpu) {
  return std::ranges::any_of(gpu.instances, [](const auto& each) { return exists(each); });
}
bool in_use(const GpuRecord& gpu) {
  return std::ranges::any_of(gpu.processes, [](const auto& each) { return each.pid != 0; });
}

catalog::Layout layout_of(const GpuRecord& gpu, const catalog::GpuModel& model) {
  catalog::Layout layout = 0;
  for (const auto& instance : gpu.instances) {
    if (!exists(instance)) continue;
    for (std::size_t i = 0; i < model.layouts.instances().size(); ++i) {
      const auto& known = model.layouts.instance(static_cast<catalog::InstanceIndex>(i));
      if (known.profile == instance.profile && known.placement.start == instance.start)
        layout |= catalog::bit(static_cast<catalog::InstanceIndex>(i));
    }
  }
  return layout;
}

/// Takes one off a count of calls that are to fail.
bool fails(std::uint32_t& fault) {
  if (fault == 0) return false;
  --fault;
  return true;
}

/// The first entry that is free; nullptr where the record is full.
template <class Record, std::size_t kCount>
Record* vacant(Record (&records)[kCount]) {
  const auto found =
      std::ranges::find_if_not(records, [](const auto& each) { return exists(each); });
  return found == std::end(records) ? nullptr : found;
}

template <class Record, std::size_t kCount>
std::uint32_t least_free_id(const Record (&records)[kCount], std::uint32_t from) {
  std::uint32_t id = from;
  while (std::ranges::any_of(records,
                             [&](const Record& each) { return exists(each) && each.id == id; }))
    ++id;
  return id;
}

}  // namespace

abi::Return set_mig_mode(GpuRecord& gpu, const catalog::GpuModel& model, bool enabled,
                         abi::Return& activation) {
  if (!model.mig_capable()) return abi::kNotSupported;
  if (gpu.faults.no_permission != 0) return abi::kNoPermission;
  if (fails(gpu.faults.mode)) return abi::kUnknown;
  activation = abi::kSuccess;
  if (enabled == (gpu.mig_current != 0)) {
    gpu.mig_pending = enabled ? 1 : 0;
    return abi::kSuccess;
  }
  if (!has_instances(gpu) && !in_use(gpu)) {
    gpu.mig_current = gpu.mig_pending = enabled ? 1 : 0;
    return abi::kSuccess;
  }
  activation = abi::kInUse;
  if (model.architecture != "Ampere") return abi::kInUse;
  gpu.mig_pending = enabled ? 1 : 0;
  return abi::kSuccess;
}

std::optional<catalog::InstanceIndex> find_room(const GpuRecord& gpu,
                                                const catalog::GpuModel& model, std::size_t profile,
                                                std::optional<unsigned> start) {
  const auto addable = model.layouts.addable(layout_of(gpu, model));
  std::optional<catalog::InstanceIndex> last;
  for (std::size_t i = 0; i < model.layouts.instances().size(); ++i) {
    const auto index = static_cast<catalog::InstanceIndex>(i);
    const auto& instance = model.layouts.instance(index);
    if (instance.profile != profile || (addable & catalog::bit(index)) == 0) continue;
    if (!start || instance.placement.start == *start) last = index;
  }
  return last;  // instances of one profile are numbered by rising start
}

unsigned remaining(const GpuRecord& gpu, const catalog::GpuModel& model, std::size_t profile) {
  GpuRecord trial = gpu;
  trial.faults = {};
  trial.mig_current = 1;
  unsigned count = 0;
  InstanceRecord* made = nullptr;
  while (create_instance(trial, model, profile, std::nullopt, made) == abi::kSuccess) ++count;
  return count;
}

abi::Return create_instance(GpuRecord& gpu, const catalog::GpuModel& model, std::size_t profile,
                            std::optional<unsigned> start, InstanceRecord*& made) {
  if (gpu.mig_current == 0) return abi::kNotSupported;
  if (gpu.faults.no_permission != 0) return abi::kNoPermission;
  if (start && std::ranges::none_of(model.profiles[profile].placements,
                                    [&](const auto& each) { return each.start == *start; }))
    return abi::kInvalidArgument;
  const auto index = find_room(gpu, model, profile, start);
  made = vacant(gpu.instances);
  if (!index || made == nullptr) return abi::kInsufficientResources;
  if (fails(gpu.faults.create)) return abi::kUnknown;
  const auto id = least_free_id(gpu.instances, 1);
  *made = {};
  made->serial = ++gpu.next_serial;
  made->id = id;
  made->profile = static_cast<std::uint32_t>(profile);
  made->start = model.layouts.instance(*index).placement.start;
  return abi::kSuccess;
}

abi::Return destroy_instance(GpuRecord& gpu, InstanceRecord& instance) {
  if (gpu.faults.no_permission != 0) return abi::kNoPermission;
  const bool divided =
      std::ranges::any_of(instance.compute, [](const auto& each) { return exists(each); });
  if (divided) return abi::kInUse;
  if (fails(gpu.faults.destroy)) return abi::kUnknown;
  instance = {};
  return abi::kSuccess;
}

std::vector<ComputeProfile> compute_profiles(const catalog::MigProfile& profile) {
  switch (profile.compute_slices) {
    case 1:
      if (profile.kind == "1g.2x") return {{kDefaultComputeOf1gDouble, 1, 1}};
      return {{0, 1, 1}};
    case 2:
      return {{0, 1, 2}, {1, 2, 1}};
    case 3:
      return {{0, 1, 3}, {1, 2, 1}, {2, 3, 1}};
    case 4:
      return {{0, 1, 4}, {1, 2, 2}, {3, 4, 1}};
    case 7:
      return {{0, 1, 7}, {1, 2, 3}, {2, 3, 2}, {3, 4, 1}, {4, 7, 1}};
    default:
      return {};
  }
}

std::optional<ComputeProfile> find_compute_profile(const catalog::MigProfile& profile,
                                                   unsigned number) {
  const auto all = compute_profiles(profile);
  const auto found = std::ranges::find(all, number, &ComputeProfile::number);
  return found == all.end() ? std::nullopt : std::optional(*found);
}

std::vector<unsigned> free_compute_starts(const InstanceRecord& instance,
                                          const ComputeProfile& profile) {
  std::vector<unsigned> starts;
  for (unsigned i = 0; i < profile.instances; ++i) {
    const unsigned start = i * profile.slices;
    const auto overlaps = [&](const ComputeInstanceRecord& each) {
      return exists(each) && each.start < start + profile.slices &&
             start < each.start + each.slices;
    };
    if (std::ranges::none_of(instance.compute, overlaps)) starts.push_back(start);
  }
  return starts;
}

abi::Return create_compute(GpuRecord& gpu, InstanceRecord& instance, const ComputeProfile& profile,
                           std::optional<unsigned> start, ComputeInstanceRecord*& made) {
  if (gpu.faults.no_permission != 0) return abi::kNoPermission;
  const auto starts = free_compute_starts(instance, profile);
  const auto chosen = start ? std::ranges::find(starts, *start) : starts.begin();
  made = vacant(instance.compute);
  if (chosen == starts.end() || made == nullptr) return abi::kInsufficientResources;
  if (fails(gpu.faults.create_compute)) return abi::kUnknown;
  const auto id = least_free_id(instance.compute, 0);
  *made = {};
  made->serial = ++gpu.next_serial;
  made->id = id;
  made->profile = profile.number;
  made->start = *chosen;
  made->slices = profile.slices;
  std::random_device entropy;
  base::SeededRandom random((std::uint64_t{entropy()} << 32) ^ entropy() ^ made->serial);
  const auto uuid = device::simulated::new_uuid("MIG-", random);
  std::memcpy(made->uuid, uuid.c_str(), std::min(uuid.size(), sizeof(made->uuid) - 1));
  return abi::kSuccess;
}

abi::Return destroy_compute(GpuRecord& gpu, InstanceRecord& instance, ComputeInstanceRecord& made) {
  if (gpu.faults.no_permission != 0) return abi::kNoPermission;
  const bool held = std::ranges::any_of(gpu.processes, [&](const ProcessRecord& process) {
    return process.pid != 0 && process.gpu_instance == instance.id &&
           process.compute_instance == made.id;
  });
  if (held) return abi::kInUse;
  if (fails(gpu.faults.destroy_compute)) return abi::kUnknown;
  made = {};
  return abi::kSuccess;
}

}  // namespace tessera::fakes
