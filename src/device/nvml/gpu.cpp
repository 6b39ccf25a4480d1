#include "device/nvml/gpu.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tessera::device::nvml {
namespace {

constexpr std::uint64_t kMib = 1024 * 1024;
constexpr unsigned kMostProcesses = 4096;
// How long the description of instances is believed while the list of them stays the same. Somebody
// else may take one away and make another, and the driver name it alike.
constexpr auto kTrusted = std::chrono::seconds(10);
// What an empty device may show as used: the driver's own, a little more before _v2 told it apart.
constexpr MiB kMostOfAnEmpty{64};
constexpr MiB kMostOfAnEmptyBefore{1024};

MiB mib(std::uint64_t bytes) {
  return MiB(static_cast<std::int64_t>(bytes / kMib));
}

}  // namespace

Gpu::Gpu(Surroundings surroundings, GpuNumber number, abi::Device handle)
    : around_(std::move(surroundings)), number_(number), handle_(handle) {}

Gpu::~Gpu() {
  for (const auto& [device, measured] : measured_)
    if (measured.sample != nullptr) nvml().nvmlGpmSampleFree(measured.sample);
}

std::expected<std::unique_ptr<Gpu>, Error> Gpu::open(Surroundings surroundings, GpuNumber number) {
  abi::Device handle = nullptr;
  const auto code = surroundings.library->call().nvmlDeviceGetHandleByIndex_v2(number, &handle);
  if (code != abi::kSuccess)
    return std::unexpected(error_of(code, "opening GPU " + std::to_string(number)));
  std::unique_ptr<Gpu> gpu(new Gpu(std::move(surroundings), number, handle));
  if (auto error = gpu->learn()) return std::unexpected(*error);
  return gpu;
}

std::optional<Error> Gpu::learn() {
  std::array<char, abi::kUuidLength> uuid{};
  if (const auto code = nvml().nvmlDeviceGetUUID(handle_, uuid.data(), uuid.size());
      code != abi::kSuccess)
    return error_of(code, "reading the UUID of GPU " + std::to_string(number_));
  uuid_ = uuid.data();
  abi::PciInfo pci{};
  if (const auto code = nvml().nvmlDeviceGetPciInfo_v3(handle_, &pci); code != abi::kSuccess)
    return error_of(code, "reading the PCI id of " + uuid_);
  pci_id_ = pci.device_id;
  abi::GpmSupport gpm{abi::kGpmVersion, 0};
  const auto& call = nvml();
  gpm_ = call.nvmlGpmQueryDeviceSupport != nullptr && call.nvmlGpmSampleAlloc != nullptr &&
         call.nvmlGpmSampleFree != nullptr && call.nvmlGpmSampleGet != nullptr &&
         call.nvmlGpmMigSampleGet != nullptr && call.nvmlGpmMetricsGet != nullptr &&
         call.nvmlGpmQueryDeviceSupport(handle_, &gpm) == abi::kSuccess && gpm.supported != 0;
  unsigned current = 0;
  unsigned pending = 0;
  if (nvml().nvmlDeviceGetMigMode(handle_, &current, &pending) == abi::kSuccess) learn_profiles();
  return std::nullopt;
}

void Gpu::learn_profiles() {
  if (nvml().nvmlDeviceGetMaxMigDeviceCount(handle_, &most_devices_) != abi::kSuccess)
    most_devices_ = 0;
  for (unsigned number = 0; number < abi::kProfileCount; ++number) {
    Profile profile{static_cast<int>(number), {}, {}};
    if (nvml().nvmlDeviceGetGpuInstanceProfileInfo(handle_, number, &profile.info) != abi::kSuccess)
      continue;
    const auto& places = nvml().nvmlDeviceGetGpuInstancePossiblePlacements_v2;
    unsigned count = 0;
    if (places(handle_, profile.info.id, nullptr, &count) != abi::kSuccess) continue;
    profile.places.resize(count);
    if (places(handle_, profile.info.id, profile.places.data(), &count) != abi::kSuccess) continue;
    profile.places.resize(std::min<std::size_t>(count, profile.places.size()));
    profiles_.push_back(std::move(profile));
  }
}

std::expected<GpuState, Error> Gpu::read() {
  auto state = look();
  last_read_.reset();
  if (state) {
    last_ = *state;
    last_read_ = std::chrono::steady_clock::now();
  }
  return state;
}

std::expected<GpuState, Error> Gpu::look() {
  GpuState state;
  state.number = number_;
  state.uuid = uuid_;
  state.pci_id = pci_id_;
  unsigned current = 0;
  unsigned pending = 0;
  if (mig_capable()) {
    const auto code = nvml().nvmlDeviceGetMigMode(handle_, &current, &pending);
    if (code != abi::kSuccess) return std::unexpected(error_of(code, "reading the MIG mode"));
  }
  state.mig_current = current != 0;
  state.mig_pending = pending != 0;
  std::vector<Found> found;
  if (state.mig_current) {
    auto listed = standing();
    if (listed && heal(*listed)) listed = instances();
    if (!listed) return std::unexpected(listed.error());
    found = std::move(*listed);
  }
  auto running = processes(found);
  if (!running) return std::unexpected(running.error());
  state.processes = std::move(*running);
  hold_to_limits(state.processes);
  for (const auto& each : found) {
    InstanceState instance{each.spec, each.id, name_of(each), {}};
    instance.foreign = !around_.ledger->ours(uuid_, each.spec, each.uuid);
    if (each.device != nullptr)
      instance.memory_used = memory_used(each.device, instance.device, state.held(instance.device));
    state.memory_used += instance.memory_used;
    state.instances.push_back(std::move(instance));
  }
  std::ranges::sort(state.instances, {},
                    [](const auto& each) { return each.spec.placement.start; });
  if (!state.mig_current) state.memory_used = memory_used(handle_, uuid_, state.in_use());
  return state;
}

/// What each instance is costs four calls to find out, that the same ones stand there one for each
/// profile. So as long as the list stays the same it is described anew once in a while only.
std::expected<std::vector<Gpu::Found>, Error> Gpu::standing() {
  auto listed = list_instances();
  if (!listed) return std::unexpected(listed.error());
  if (described_at_ && *listed == listed_ && SteadyTime::clock::now() - *described_at_ < kTrusted)
    return described_;
  return look_at(std::move(*listed));
}

std::expected<std::vector<Gpu::Found>, Error> Gpu::instances() {
  auto listed = list_instances();
  if (!listed) return std::unexpected(listed.error());
  return look_at(std::move(*listed));
}

std::expected<std::vector<Gpu::Listed>, Error> Gpu::list_instances() const {
  std::vector<Listed> listed;
  for (const auto& profile : profiles_) {
    std::vector<abi::GpuInstance> handles(std::max(profile.info.instances, 1U));
    auto count = static_cast<unsigned>(handles.size());
    const auto code =
        nvml().nvmlDeviceGetGpuInstances(handle_, profile.info.id, handles.data(), &count);
    if (code == abi::kNotSupported) continue;
    if (code != abi::kSuccess) return std::unexpected(error_of(code, "listing GPU instances"));
    for (unsigned i = 0; i < std::min<std::size_t>(count, handles.size()); ++i)
      listed.push_back({profile.number, handles[i]});
  }
  return listed;
}

std::vector<Gpu::Found> Gpu::look_at(std::vector<Listed> listed) {
  std::vector<Found> found;
  for (const auto& each : listed) {
    abi::GpuInstanceInfo info{};
    if (nvml().nvmlGpuInstanceGetInfo(each.instance, &info) != abi::kSuccess) continue;
    const catalog::Placement place{static_cast<std::uint8_t>(info.placement.start),
                                   static_cast<std::uint8_t>(info.placement.size)};
    found.push_back({{each.profile, place}, info.id, each.instance, nullptr, {}});
  }
  name_devices(found);
  // What is only half there, or went away in between, is looked at again next time.
  const bool whole = found.size() == listed.size() &&
                     std::ranges::none_of(found, &std::string::empty, &Found::uuid);
  listed_ = std::move(listed);
  described_ = found;
  described_at_ = whole ? std::optional(SteadyTime::clock::now()) : std::nullopt;
  return found;
}

void Gpu::name_devices(std::vector<Found>& found) const {
  for (unsigned i = 0; i < most_devices_ && !found.empty(); ++i) {
    abi::Device device = nullptr;
    unsigned id = 0;
    if (nvml().nvmlDeviceGetMigDeviceHandleByIndex(handle_, i, &device) != abi::kSuccess ||
        nvml().nvmlDeviceGetGpuInstanceId(device, &id) != abi::kSuccess)
      continue;
    const auto owner = std::ranges::find(found, id, &Found::id);
    std::array<char, abi::kUuidLength> uuid{};
    if (owner == found.end() || owner->device != nullptr ||
        nvml().nvmlDeviceGetUUID(device, uuid.data(), uuid.size()) != abi::kSuccess)
      continue;
    owner->device = device;
    owner->uuid = uuid.data();
  }
}

/// What has no MIG device has no name of the driver's either.
std::string Gpu::name_of(const Found& found) const {
  return found.uuid.empty() ? uuid_ + "/instance-" + std::to_string(found.id) : found.uuid;
}

bool Gpu::heal(const std::vector<Found>& found) {
  if (around_.read_only) return false;
  bool changed = false;
  for (const auto& spec : around_.ledger->all(uuid_)) {
    const auto there = std::ranges::find(found, spec, &Found::spec);
    if (there == found.end()) {
      around_.ledger->gone(uuid_, spec);
    } else if (!there->uuid.empty()) {
      if (around_.ledger->ours(uuid_, spec, there->uuid))
        around_.ledger->made(uuid_, spec, there->uuid);
      else
        around_.ledger->gone(uuid_, spec);  // somebody else's stands there now
    } else if (nvml().nvmlGpuInstanceDestroy(there->instance) == abi::kSuccess) {
      around_.ledger->gone(uuid_, spec);
      changed = true;
    }
  }
  return changed;
}

std::expected<std::vector<Process>, Error> Gpu::processes(const std::vector<Found>& found) {
  const auto& call = nvml();
  // The newest form that the library has of each.
  const std::array<std::pair<Listing, Listing>, 3> kinds = {{
      {call.nvmlDeviceGetComputeRunningProcesses_v3, call.nvmlDeviceGetComputeRunningProcesses_v2},
      {call.nvmlDeviceGetGraphicsRunningProcesses_v3,
       call.nvmlDeviceGetGraphicsRunningProcesses_v2},
      {call.nvmlDeviceGetMPSComputeRunningProcesses_v3,
       call.nvmlDeviceGetMPSComputeRunningProcesses_v2},
  }};
  std::vector<Process> all;
  for (const auto& [newer, older] : kinds) {
    const auto listing = newer != nullptr ? newer : older;
    if (listing == nullptr) continue;
    if (auto error = list(listing, found, all)) return std::unexpected(*error);
  }
  std::ranges::sort(all, {}, [](const Process& each) { return std::pair(each.pid, each.device); });
  const auto same = [](const Process& a, const Process& b) {
    return a.pid == b.pid && a.device == b.device;
  };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  for (auto& process : all) process.tenant = around_.processes->tenant_of(process.pid);
  return all;
}

/// One call tells of the whole GPU, its instances included.
std::optional<Error> Gpu::list(Listing listing, const std::vector<Found>& found,
                               std::vector<Process>& all) const {
  std::vector<abi::Process> entries(32);
  abi::Return code = abi::kInsufficientSize;
  auto count = static_cast<unsigned>(entries.size());
  while ((code = listing(handle_, &count, entries.data())) == abi::kInsufficientSize) {
    if (entries.size() >= kMostProcesses) break;
    entries.resize(
        std::min<std::size_t>(std::max<std::size_t>(count, entries.size()) * 2, kMostProcesses));
    count = static_cast<unsigned>(entries.size());
  }
  if (code == abi::kNotSupported) return std::nullopt;
  if (code != abi::kSuccess) return error_of(code, "listing processes");
  entries.resize(std::min<std::size_t>(count, entries.size()));
  for (const auto& entry : entries) {
    const auto owner = std::ranges::find(found, entry.gpu_instance, &Found::id);
    const bool known = entry.memory != ~std::uint64_t{0};  // else the driver cannot tell
    all.push_back({entry.pid, owner == found.end() ? uuid_ : name_of(*owner),
                   known ? mib(entry.memory) : MiB(0), LeaseId{}});
  }
  return std::nullopt;
}

MiB Gpu::memory_used(abi::Device device, const std::string& name, bool held) {
  MiB used;
  MiB most = kMostOfAnEmpty;
  abi::Memory2 newer{};
  newer.version = abi::kMemory2Version;
  abi::Memory older{};
  const auto& call = nvml().nvmlDeviceGetMemoryInfo_v2;
  if (call != nullptr && call(device, &newer) == abi::kSuccess) {
    used = mib(newer.used);
  } else if (nvml().nvmlDeviceGetMemoryInfo(device, &older) == abi::kSuccess) {
    used = mib(older.used);
    most = kMostOfAnEmptyBefore;
  } else {
    described_at_.reset();  // the device may be gone
    return MiB(0);
  }
  auto& least = least_used_.try_emplace(name, most).first->second;
  if (!held) least = std::min(least, used);
  return used - std::min(least, used);
}

}  // namespace tessera::device::nvml
