#include <algorithm>
#include <thread>
#include <utility>

#include "device/nvml/gpu.h"

namespace tessera::device::nvml {
namespace {

constexpr std::string_view kNoMig = "this GPU has no MIG";

Error refuse(ErrorCode code, std::string detail) {
  return {code, std::move(detail)};
}

std::string held_by(const Process& process) {
  return "process " + std::to_string(process.pid) + " holds " + process.device;
}

}  // namespace

Completion Gpu::apply(const Operation& operation) {
  Completion completion;
  if (changes(operation)) described_at_.reset();
  auto done = std::visit([&](const auto& each) { return change(each, completion); }, operation);
  if (done) completion.error = std::move(*done);
  return completion;
}

void Gpu::adopt() {
  const auto found = instances();
  if (!found) return;
  for (const auto& each : *found) around_.ledger->made(uuid_, each.spec, each.uuid);
}

std::optional<Error> Gpu::change(const SetMigMode& mode, Completion&) {
  if (!mig_capable()) return refuse(ErrorCode::kNotSupported, std::string(kNoMig));
  const auto state = read();
  if (!state) return state.error();
  if (mode.enabled == state->mig_current && mode.enabled == state->mig_pending) return std::nullopt;
  if (!state->instances.empty())
    return refuse(ErrorCode::kWrongOrder, "MIG instances exist; destroy them first");
  if (state->in_use()) return refuse(ErrorCode::kInUse, held_by(state->processes.front()));
  abi::Return activation = abi::kSuccess;
  const auto code = nvml().nvmlDeviceSetMigMode(handle_, mode.enabled ? 1 : 0, &activation);
  if (code != abi::kSuccess) return error_of(code, describe(mode));
  if (activation != abi::kSuccess)
    return error_of(activation, describe(mode) + " waits for a reset of the GPU");
  return std::nullopt;
}

std::optional<Error> Gpu::change(const CreateInstance& create, Completion& completion) {
  if (!mig_capable()) return refuse(ErrorCode::kNotSupported, std::string(kNoMig));
  const auto state = read();
  if (!state) return state.error();
  if (!state->mig_current) return refuse(ErrorCode::kWrongOrder, "MIG mode is off; turn it on");
  const auto profile = std::ranges::find(profiles_, create.spec.nvml_profile, &Profile::number);
  const abi::Placement place{create.spec.placement.start, create.spec.placement.size};
  const auto is_place = [&](const abi::Placement& each) {
    return each.start == place.start && each.size == place.size;
  };
  if (profile == profiles_.end() || std::ranges::none_of(profile->places, is_place))
    return refuse(ErrorCode::kInvalidPlacement, "the GPU offers no such instance there");
  if (std::ranges::find(state->instances, create.spec, &InstanceState::spec) !=
      state->instances.end())
    return refuse(ErrorCode::kNoRoom, "that instance exists already");
  around_.ledger->intend(uuid_, create.spec);
  if (const auto trouble = around_.ledger->trouble(); !trouble.empty())
    return refuse(ErrorCode::kUnknown, "cannot write down what is made: " + trouble);
  abi::GpuInstance instance = nullptr;
  const auto code =
      nvml().nvmlDeviceCreateGpuInstanceWithPlacement(handle_, profile->info.id, &place, &instance);
  if (code != abi::kSuccess) {
    around_.ledger->gone(uuid_, create.spec);
    return error_of(code, "creating the GPU instance");
  }
  if (auto error = fill(instance, profile->info.slices)) {
    if (nvml().nvmlGpuInstanceDestroy(instance) == abi::kSuccess)
      around_.ledger->gone(uuid_, create.spec);
    return error;
  }
  const auto found = instances();
  if (!found) return found.error();
  const auto made = std::ranges::find(*found, create.spec, &Found::spec);
  if (made == found->end() || made->uuid.empty())
    return refuse(ErrorCode::kUnknown, "the instance was made, and is not listed");
  around_.ledger->made(uuid_, create.spec, made->uuid);
  least_used_.erase(made->uuid);
  completion.device = made->uuid;
  return std::nullopt;
}

/// Makes the compute instance that takes the GPU instance as a whole. Its profile is found and not
/// computed: which number that is differs between products.
std::optional<Error> Gpu::fill(abi::GpuInstance instance, unsigned slices) {
  std::optional<abi::ComputeProfileInfo> whole;
  for (unsigned number = 0; number < abi::kComputeProfileCount; ++number) {
    abi::ComputeProfileInfo info{};
    const auto code =
        nvml().nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, number, 0, &info);
    if (code != abi::kSuccess || info.slices > slices) continue;
    const auto size = [](const abi::ComputeProfileInfo& each) {
      return std::pair(each.slices, each.sms);
    };
    if (!whole || size(info) > size(*whole)) whole = info;
  }
  if (!whole) return Error{ErrorCode::kUnknown, "the driver offers no compute instance for it"};
  abi::ComputeInstance compute = nullptr;
  const auto code = nvml().nvmlGpuInstanceCreateComputeInstance(instance, whole->id, &compute);
  if (code != abi::kSuccess) return error_of(code, "creating the compute instance");
  return std::nullopt;
}

std::optional<Error> Gpu::change(const DestroyInstance& destroy, Completion&) {
  const auto state = read();
  if (!state) return state.error();
  const auto known = std::ranges::find(state->instances, destroy.device, &InstanceState::device);
  if (known == state->instances.end())
    return refuse(ErrorCode::kNotFound, "no instance " + destroy.device);
  if (known->foreign)
    return refuse(ErrorCode::kNotPermitted, destroy.device + " was made by somebody else");
  const auto holder = std::ranges::find(state->processes, destroy.device, &Process::device);
  if (holder != state->processes.end()) return refuse(ErrorCode::kInUse, held_by(*holder));
  const auto found = instances();
  if (!found) return found.error();
  const auto doomed = std::ranges::find(*found, known->driver_id, &Found::id);
  if (doomed == found->end() || name_of(*doomed) != destroy.device)
    return refuse(ErrorCode::kNotFound, "no instance " + destroy.device);
  if (auto error = remove(*doomed)) return error;
  around_.ledger->gone(uuid_, known->spec);
  return std::nullopt;
}

std::optional<Error> Gpu::remove(const Found& found) {
  for (unsigned number = 0; number < abi::kComputeProfileCount; ++number) {
    abi::ComputeProfileInfo info{};
    if (nvml().nvmlGpuInstanceGetComputeInstanceProfileInfo(found.instance, number, 0, &info) !=
        abi::kSuccess)
      continue;
    std::vector<abi::ComputeInstance> parts(std::max(info.instances, 1U));
    auto count = static_cast<unsigned>(parts.size());
    if (nvml().nvmlGpuInstanceGetComputeInstances(found.instance, info.id, parts.data(), &count) !=
        abi::kSuccess)
      continue;
    for (unsigned i = 0; i < std::min<std::size_t>(count, parts.size()); ++i)
      if (const auto code = nvml().nvmlComputeInstanceDestroy(parts[i]); code != abi::kSuccess)
        return error_of(code, "destroying the compute instance");
  }
  const auto code = nvml().nvmlGpuInstanceDestroy(found.instance);
  if (code != abi::kSuccess) return error_of(code, "destroying the GPU instance");
  return std::nullopt;
}

std::optional<Error> Gpu::change(const Scrub& scrub, Completion&) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::seconds(1);
  for (;; std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
    const auto state = read();
    if (!state) return state.error();
    const auto instance = std::ranges::find(state->instances, scrub.device, &InstanceState::device);
    if (scrub.device != uuid_ && instance == state->instances.end())
      return refuse(ErrorCode::kNotFound, "no device " + scrub.device);
    const Process* left = nullptr;
    for (const auto& process : state->processes) {
      if (process.device != scrub.device) continue;
      if (scrub.tenant.valid() && process.tenant != scrub.tenant) continue;
      left = &process;
      around_.processes->end(process.pid);
    }
    const MiB used =
        instance == state->instances.end() ? state->memory_used : instance->memory_used;
    const bool clean = left == nullptr && (scrub.tenant.valid() || used == MiB(0));
    if (clean) return std::nullopt;
    if (Clock::now() < until) continue;
    if (left != nullptr)
      return refuse(ErrorCode::kInUse, "process " + std::to_string(left->pid) + " still holds " +
                                           base::to_string(left->memory));
    return refuse(ErrorCode::kInUse,
                  base::to_string(used) + " read as used though no process holds them");
  }
}

}  // namespace tessera::device::nvml
