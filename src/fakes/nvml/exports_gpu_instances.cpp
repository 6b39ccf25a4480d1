// MIG mode and GPU instances.

#include <algorithm>
#include <optional>
#include <string>

#include "fakes/nvml/library.h"
#include "fakes/nvml/mig_rules.h"
#include "fakes/nvml/profile_info.h"

using namespace tessera::fakes;
using tessera::catalog::MigProfile;

namespace {

/// Calls `function(View&, index of the profile)` for a GPU that offers it.
template <class Matches, class Function>
abi::Return with_profile(abi::Device device, MachineFile::Access access, Matches matches,
                         Function function) {
  return visit(device, {Kind::kDevice}, access, [&](View& view) -> abi::Return {
    if (!view.model.mig_capable()) return abi::kNotSupported;
    const auto& profiles = view.model.profiles;
    const auto found = std::ranges::find_if(profiles, matches);
    if (found == profiles.end()) return abi::kNotSupported;
    return function(view, static_cast<std::size_t>(found - profiles.begin()));
  });
}
auto numbered(unsigned number) {
  return
      [=](const MigProfile& profile) { return profile.nvml_profile == static_cast<int>(number); };
}
/// The same profile by ProfileInfo::id, which products number differently.
auto identified(unsigned id) {
  return
      [=](const MigProfile& profile) { return profile.driver_profile_id == static_cast<int>(id); };
}

abi::ProfileInfo describe(const View& view, const MigProfile& profile) {
  abi::ProfileInfo info{.id = static_cast<unsigned>(profile.driver_profile_id),
                        .slices = static_cast<unsigned>(profile.compute_slices),
                        .instances = static_cast<unsigned>(profile.max_instances),
                        .sms = profile.sms ? static_cast<unsigned>(profile.sms->count()) : 0,
                        .memory_mib = memory_of(view.model, profile)};
  set_engines(profile.engines, info);
  return info;
}

/// The later forms of the struct, told apart by the version word the caller wrote.
template <class Matches>
abi::Return describe_versioned(abi::Device device, Matches matches, void* info) {
  return with_profile(device, kRead, matches, [&](View& view, std::size_t index) -> abi::Return {
    if (info == nullptr) return abi::kInvalidArgument;
    const auto& profile = view.model.profiles[index];
    const auto plain = describe(view, profile);
    const auto fill = [&](auto& to) {
      copy_counts(plain, to);
      to.memory_mib = plain.memory_mib;
      return copy_text("MIG " + profile.name, to.name, sizeof(to.name));
    };
    switch (*static_cast<const unsigned*>(info)) {
      case abi::kProfile2Version:
        static_cast<abi::ProfileInfo2*>(info)->p2p = plain.p2p;
        return fill(*static_cast<abi::ProfileInfo2*>(info));
      case abi::kProfile3Version:
        static_cast<abi::ProfileInfo3*>(info)->capabilities = 0;
        return fill(*static_cast<abi::ProfileInfo3*>(info));
      default:
        return abi::kArgumentVersion;
    }
  });
}

abi::Return make(abi::Device device, unsigned profile, std::optional<abi::Placement> place,
                 abi::GpuInstance* made) {
  return with_profile(
      device, kChange, identified(profile), [&](View& view, std::size_t index) -> abi::Return {
        if (made == nullptr) return abi::kInvalidArgument;
        const auto size = view.model.profiles[index].memory_slices;
        if (place && place->size != static_cast<unsigned>(size)) return abi::kInvalidArgument;
        InstanceRecord* instance = nullptr;
        const auto start = place ? std::optional(place->start) : std::nullopt;
        const auto done = create_instance(view.gpu, view.model, index, start, instance);
        if (done == abi::kSuccess)
          *made = static_cast<abi::GpuInstance>(
              encode({Kind::kGpuInstance, view.index, instance->serial, 0}));
        return done;
      });
}

}  // namespace

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetMigMode(abi::Device device, unsigned* current,
                                                     unsigned* pending) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (current == nullptr || pending == nullptr) return abi::kInvalidArgument;
    if (!view.model.mig_capable()) return abi::kNotSupported;
    *current = view.gpu.mig_current;
    *pending = view.gpu.mig_pending;
    return abi::kSuccess;
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceSetMigMode(abi::Device device, unsigned mode,
                                                     abi::Return* activation) {
  return visit(device, {Kind::kDevice}, kChange, [&](View& view) -> abi::Return {
    if (activation == nullptr || mode > 1) return abi::kInvalidArgument;
    return set_mig_mode(view.gpu, view.model, mode == 1, *activation);
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetGpuInstanceProfileInfo(abi::Device device,
                                                                    unsigned profile,
                                                                    abi::ProfileInfo* info) {
  if (profile >= abi::kProfileCount) return abi::kInvalidArgument;
  return with_profile(device, kRead, numbered(profile), [&](View& view, std::size_t index) {
    return answer(info, describe(view, view.model.profiles[index]));
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetGpuInstanceProfileInfoV(abi::Device device,
                                                                     unsigned profile, void* info) {
  if (profile >= abi::kProfileCount) return abi::kInvalidArgument;
  return describe_versioned(device, numbered(profile), info);
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetGpuInstanceProfileInfoByIdV(abi::Device device,
                                                                         unsigned id, void* info) {
  return describe_versioned(device, identified(id), info);
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetGpuInstancePossiblePlacements_v2(
    abi::Device device, unsigned profile, abi::Placement* places, unsigned* count) {
  return with_profile(device, kRead, identified(profile),
                      [&](View& view, std::size_t index) -> abi::Return {
                        if (count == nullptr) return abi::kInvalidArgument;
                        const auto& all = view.model.profiles[index].placements;
                        *count = static_cast<unsigned>(all.size());
                        if (places == nullptr) return abi::kSuccess;
                        for (const auto& each : all) *places++ = {each.start, each.size};
                        return abi::kSuccess;
                      });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetGpuInstancePossiblePlacements(abi::Device device,
                                                                           unsigned profile,
                                                                           abi::Placement* places,
                                                                           unsigned* count) {
  return nvmlDeviceGetGpuInstancePossiblePlacements_v2(device, profile, places, count);
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetGpuInstanceRemainingCapacity(abi::Device device,
                                                                          unsigned profile,
                                                                          unsigned* count) {
  return with_profile(device, kRead, identified(profile), [&](View& view, std::size_t index) {
    if (view.gpu.mig_current == 0) return abi::kNotSupported;
    return answer(count, remaining(view.gpu, view.model, index));
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceCreateGpuInstance(abi::Device device, unsigned profile,
                                                            abi::GpuInstance* made) {
  return make(device, profile, std::nullopt, made);
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceCreateGpuInstanceWithPlacement(
    abi::Device device, unsigned profile, const abi::Placement* place, abi::GpuInstance* made) {
  return make(device, profile, place == nullptr ? std::nullopt : std::optional(*place), made);
}

/// The array has room for as many as ProfileInfo::instances says: that is NVML's contract.
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetGpuInstances(abi::Device device, unsigned profile,
                                                          abi::GpuInstance* instances,
                                                          unsigned* count) {
  return with_profile(device, kRead, identified(profile),
                      [&](View& view, std::size_t index) -> abi::Return {
                        if (count == nullptr || instances == nullptr) return abi::kInvalidArgument;
                        if (view.gpu.mig_current == 0) return abi::kNotSupported;
                        *count = 0;
                        for (const auto& each : view.gpu.instances)
                          if (each.serial != 0 && each.profile == index)
                            instances[(*count)++] = static_cast<abi::GpuInstance>(
                                encode({Kind::kGpuInstance, view.index, each.serial, 0}));
                        return abi::kSuccess;
                      });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetGpuInstanceById(abi::Device device, unsigned id,
                                                             abi::GpuInstance* found) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (view.gpu.mig_current == 0) return abi::kNotSupported;
    const auto* instance = find_instance(view.gpu, id);
    if (instance == nullptr) return abi::kNotFound;
    return answer(found, static_cast<abi::GpuInstance>(
                             encode({Kind::kGpuInstance, view.index, instance->serial, 0})));
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlGpuInstanceGetInfo(abi::GpuInstance instance,
                                                       abi::GpuInstanceInfo* info) {
  return visit(instance, {Kind::kGpuInstance}, kRead, [&](View& view) {
    const auto& profile = view.profile();
    return answer(info, abi::GpuInstanceInfo{
                            static_cast<abi::Device>(encode({Kind::kDevice, view.index, 0, 0})),
                            view.instance->id,
                            static_cast<unsigned>(profile.driver_profile_id),
                            {view.instance->start, static_cast<unsigned>(profile.memory_slices)}});
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlGpuInstanceDestroy(abi::GpuInstance instance) {
  return visit(instance, {Kind::kGpuInstance}, kChange,
               [](View& view) { return destroy_instance(view.gpu, *view.instance); });
}
