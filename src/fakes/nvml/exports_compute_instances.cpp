// Compute instances, and the MIG devices that they make.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "fakes/nvml/library.h"
#include "fakes/nvml/mig_rules.h"
#include "fakes/nvml/profile_info.h"

using namespace tessera::fakes;

namespace {

template <class Function>
abi::Return with_compute_profile(abi::GpuInstance instance, unsigned number,
                                 MachineFile::Access access, Function function) {
  return visit(instance, {Kind::kGpuInstance}, access, [&](View& view) -> abi::Return {
    const auto profile = find_compute_profile(view.profile(), number);
    return profile ? function(view, *profile) : abi::kNotSupported;
  });
}

unsigned sms_of(const View& view, unsigned slices) {
  const auto& profile = view.profile();
  if (!profile.sms) return 0;
  return static_cast<unsigned>(profile.sms->count()) * slices /
         static_cast<unsigned>(profile.compute_slices);
}

abi::ComputeProfileInfo describe(const View& view, const ComputeProfile& profile) {
  abi::ComputeProfileInfo info{.id = profile.number,
                               .slices = profile.slices,
                               .instances = profile.instances,
                               .sms = sms_of(view, profile.slices)};
  set_engines(view.profile().engines, info);
  return info;
}

std::string name_of(const View& view, const ComputeProfile& profile) {
  const auto& whole = view.profile();
  if (profile.slices == static_cast<unsigned>(whole.compute_slices)) return "MIG " + whole.name;
  return "MIG " + std::to_string(profile.slices) + "c." + whole.name;
}

abi::Return make(abi::GpuInstance instance, unsigned number, const abi::Placement* place,
                 abi::ComputeInstance* made) {
  return with_compute_profile(
      instance, number, kChange, [&](View& view, const ComputeProfile& profile) -> abi::Return {
        if (made == nullptr || (place != nullptr && place->size != profile.slices))
          return abi::kInvalidArgument;
        ComputeInstanceRecord* compute = nullptr;
        const auto start = place == nullptr ? std::nullopt : std::optional(place->start);
        const auto done = create_compute(view.gpu, *view.instance, profile, start, compute);
        if (done == abi::kSuccess)
          *made = static_cast<abi::ComputeInstance>(
              encode({Kind::kComputeInstance, view.index, view.instance->serial, compute->serial}));
        return done;
      });
}

/// The MIG devices of a GPU, in the order of their index.
std::vector<Handle> mig_devices(const View& view) {
  std::vector<std::pair<std::pair<unsigned, unsigned>, Handle>> found;
  for (const auto& instance : view.gpu.instances)
    for (const auto& compute : instance.compute)
      if (instance.serial != 0 && compute.serial != 0)
        found.push_back({{instance.id, compute.id},
                         {Kind::kMigDevice, view.index, instance.serial, compute.serial}});
  std::ranges::sort(found, {}, [](const auto& each) { return each.first; });
  std::vector<Handle> handles;
  for (const auto& [order, handle] : found) handles.push_back(handle);
  return handles;
}

}  // namespace

TESSERA_NVML_EXPORT abi::Return nvmlGpuInstanceGetComputeInstanceProfileInfo(
    abi::GpuInstance instance, unsigned profile, unsigned engines, abi::ComputeProfileInfo* info) {
  if (profile >= abi::kComputeProfileCount || engines != 0) return abi::kInvalidArgument;
  return with_compute_profile(
      instance, profile, kRead,
      [&](View& view, const ComputeProfile& known) { return answer(info, describe(view, known)); });
}

TESSERA_NVML_EXPORT abi::Return nvmlGpuInstanceGetComputeInstanceProfileInfoV(
    abi::GpuInstance instance, unsigned profile, unsigned engines, void* info) {
  if (profile >= abi::kComputeProfileCount || engines != 0 || info == nullptr)
    return abi::kInvalidArgument;
  return with_compute_profile(instance, profile, kRead,
                              [&](View& view, const ComputeProfile& known) -> abi::Return {
                                const auto plain = describe(view, known);
                                const auto fill = [&](auto& to) {
                                  copy_counts(plain, to);
                                  return copy_text(name_of(view, known), to.name, sizeof(to.name));
                                };
                                switch (*static_cast<const unsigned*>(info)) {
                                  case abi::kComputeProfile2Version:
                                    return fill(*static_cast<abi::ComputeProfileInfo2*>(info));
                                  case abi::kComputeProfile3Version:
                                    static_cast<abi::ComputeProfileInfo3*>(info)->capabilities = 0;
                                    return fill(*static_cast<abi::ComputeProfileInfo3*>(info));
                                  default:
                                    return abi::kArgumentVersion;
                                }
                              });
}

TESSERA_NVML_EXPORT abi::Return nvmlGpuInstanceGetComputeInstanceRemainingCapacity(
    abi::GpuInstance instance, unsigned profile, unsigned* count) {
  return with_compute_profile(instance, profile, kRead,
                              [&](View& view, const ComputeProfile& known) {
                                const auto starts = free_compute_starts(*view.instance, known);
                                return answer(count, static_cast<unsigned>(starts.size()));
                              });
}

TESSERA_NVML_EXPORT abi::Return nvmlGpuInstanceGetComputeInstancePossiblePlacements(
    abi::GpuInstance instance, unsigned profile, abi::Placement* places, unsigned* count) {
  return with_compute_profile(instance, profile, kRead,
                              [&](View&, const ComputeProfile& known) -> abi::Return {
                                if (count == nullptr) return abi::kInvalidArgument;
                                *count = known.instances;
                                for (unsigned i = 0; places != nullptr && i < known.instances; ++i)
                                  places[i] = {i * known.slices, known.slices};
                                return abi::kSuccess;
                              });
}

TESSERA_NVML_EXPORT abi::Return nvmlGpuInstanceCreateComputeInstance(abi::GpuInstance instance,
                                                                     unsigned profile,
                                                                     abi::ComputeInstance* made) {
  return make(instance, profile, nullptr, made);
}
TESSERA_NVML_EXPORT abi::Return nvmlGpuInstanceCreateComputeInstanceWithPlacement(
    abi::GpuInstance instance, unsigned profile, const abi::Placement* place,
    abi::ComputeInstance* made) {
  return make(instance, profile, place, made);
}

TESSERA_NVML_EXPORT abi::Return nvmlGpuInstanceGetComputeInstances(abi::GpuInstance instance,
                                                                   unsigned profile,
                                                                   abi::ComputeInstance* found,
                                                                   unsigned* count) {
  return with_compute_profile(
      instance, profile, kRead, [&](View& view, const ComputeProfile& known) -> abi::Return {
        if (found == nullptr || count == nullptr) return abi::kInvalidArgument;
        *count = 0;
        for (const auto& each : view.instance->compute)
          if (each.serial != 0 && each.profile == known.number)
            found[(*count)++] = static_cast<abi::ComputeInstance>(
                encode({Kind::kComputeInstance, view.index, view.instance->serial, each.serial}));
        return abi::kSuccess;
      });
}

TESSERA_NVML_EXPORT abi::Return nvmlGpuInstanceGetComputeInstanceById(abi::GpuInstance instance,
                                                                      unsigned id,
                                                                      abi::ComputeInstance* found) {
  return visit(instance, {Kind::kGpuInstance}, kRead, [&](View& view) -> abi::Return {
    for (const auto& each : view.instance->compute)
      if (each.serial != 0 && each.id == id)
        return answer(
            found, static_cast<abi::ComputeInstance>(encode(
                       {Kind::kComputeInstance, view.index, view.instance->serial, each.serial})));
    return abi::kNotFound;
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlComputeInstanceGetInfo_v2(abi::ComputeInstance compute,
                                                              abi::ComputeInstanceInfo* info) {
  return visit(compute, {Kind::kComputeInstance}, kRead, [&](View& view) {
    return answer(info, abi::ComputeInstanceInfo{
                            static_cast<abi::Device>(encode({Kind::kDevice, view.index, 0, 0})),
                            static_cast<abi::GpuInstance>(
                                encode({Kind::kGpuInstance, view.index, view.instance->serial, 0})),
                            view.compute->id,
                            view.compute->profile,
                            {view.compute->start, view.compute->slices}});
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlComputeInstanceDestroy(abi::ComputeInstance compute) {
  return visit(compute, {Kind::kComputeInstance}, kChange,
               [](View& view) { return destroy_compute(view.gpu, *view.instance, *view.compute); });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetMaxMigDeviceCount(abi::Device device,
                                                               unsigned* count) {
  return read_gpu(device, [&](View& view) {
    return answer(count, static_cast<unsigned>(view.model.compute_slices));
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetMigDeviceHandleByIndex(abi::Device device,
                                                                    unsigned index,
                                                                    abi::Device* mig) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (index >= static_cast<unsigned>(view.model.compute_slices)) return abi::kInvalidArgument;
    const auto all = mig_devices(view);
    if (index >= all.size()) return abi::kNotFound;
    return answer(mig, static_cast<abi::Device>(encode(all[index])));
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetDeviceHandleFromMigDeviceHandle(abi::Device mig,
                                                                             abi::Device* device) {
  return visit(mig, {Kind::kMigDevice}, kRead, [&](View& view) {
    return answer(device, static_cast<abi::Device>(encode({Kind::kDevice, view.index, 0, 0})));
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceIsMigDeviceHandle(abi::Device device, unsigned* is_mig) {
  return read_device(device, [&](View& view) { return answer(is_mig, view.whole() ? 0U : 1U); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetGpuInstanceId(abi::Device mig, unsigned* id) {
  return visit(mig, {Kind::kMigDevice}, kRead,
               [&](View& view) { return answer(id, view.instance->id); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetComputeInstanceId(abi::Device mig, unsigned* id) {
  return visit(mig, {Kind::kMigDevice}, kRead,
               [&](View& view) { return answer(id, view.compute->id); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetAttributes_v2(abi::Device mig,
                                                           abi::DeviceAttributes* attributes) {
  return visit(mig, {Kind::kMigDevice}, kRead, [&](View& view) {
    const auto known = describe(view, {view.compute->profile, view.compute->slices, 1});
    return answer(attributes,
                  abi::DeviceAttributes{
                      known.sms, known.copy, known.decoder, known.encoder, known.jpeg,
                      known.optical_flow, static_cast<unsigned>(view.profile().compute_slices),
                      view.compute->slices, memory_of(view.model, view.profile())});
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetAttributes(abi::Device mig,
                                                        abi::DeviceAttributes* attributes) {
  return nvmlDeviceGetAttributes_v2(mig, attributes);
}
