#include "device/simulated/gpu.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "device/simulated/synthetic.h"

namespace tessera::device::simulated {
namespace {

constexpr std::size_t kMostXids = 16;

std::unexpected<Error> refuse(ErrorCode code, std::string detail) {
  return std::unexpected(Error{code, std::move(detail)});
}

/// Since Hopper the driver keeps the mode, so that it is lost with a reboot; before, the board
/// keeps it, and a change that finds the GPU in use waits for the next reset.
bool board_keeps_mode(const catalog::GpuModel& model) {
  return model.architecture == "Ampere";
}

std::uint32_t least_free_id(const std::vector<InstanceState>& instances) {
  std::uint32_t id = 1;
  while (std::ranges::find(instances, id, &InstanceState::driver_id) != instances.end()) ++id;
  return id;
}

}  // namespace

Gpu::Gpu(GpuNumber number, const catalog::GpuModel& model, std::string uuid)
    : number_(number), model_(&model), uuid_(std::move(uuid)) {}

GpuState Gpu::state() const {
  GpuState state;
  state.number = number_;
  state.uuid = uuid_;
  state.xids = xids_;
  if (lost_) {
    state.condition = Condition::kLost;
    return state;
  }
  state.pci_id = model_->pci_ids.empty() ? 0 : model_->pci_ids.front();
  state.mig_current = mig_current_;
  state.mig_pending = mig_pending_;
  state.instances = instances_;
  for (auto& instance : state.instances) {
    instance.memory_used = used(instance.device);
    state.memory_used += instance.memory_used;
  }
  state.memory_used += used(uuid_);
  for (const auto& each : running_)
    state.processes.push_back(
        {each.pid, each.program.device, each.program.memory, each.program.tenant});
  return state;
}

std::expected<std::string, Error> Gpu::apply(const Operation& operation, Instant at,
                                             base::Random& random) {
  if (lost_) return refuse(ErrorCode::kGpuLost, uuid_ + " has fallen off the bus");
  switch (kind_of(operation)) {
    case OperationKind::kSetMigMode:
      return change(std::get<SetMigMode>(operation));
    case OperationKind::kCreate:
      return change(std::get<CreateInstance>(operation), random);
    case OperationKind::kDestroy:
      return change(std::get<DestroyInstance>(operation));
    case OperationKind::kScrub:
      return change(std::get<Scrub>(operation), at);
    case OperationKind::kReadUse:
      return std::string();
  }
  return refuse(ErrorCode::kNotSupported, "no such operation");
}

std::expected<std::string, Error> Gpu::change(const SetMigMode& mode) {
  if (!model_->mig_capable())
    return refuse(ErrorCode::kNotSupported, model_->product + " has no MIG");
  if (mode.enabled == mig_current_) {
    mig_pending_ = mode.enabled;
    return std::string();
  }
  if (!instances_.empty())
    return refuse(ErrorCode::kWrongOrder, "MIG instances exist; destroy them first");
  if (!running_.empty()) {
    if (board_keeps_mode(*model_)) mig_pending_ = mode.enabled;
    return refuse(ErrorCode::kInUse, "process " + std::to_string(running_.front().pid) +
                                         " uses the GPU; the mode changes once it is idle");
  }
  mig_current_ = mig_pending_ = mode.enabled;
  return std::string();
}

std::expected<std::string, Error> Gpu::change(const CreateInstance& create, base::Random& random) {
  if (!model_->mig_capable())
    return refuse(ErrorCode::kNotSupported, model_->product + " has no MIG");
  if (!mig_current_) return refuse(ErrorCode::kWrongOrder, "MIG mode is off; turn it on first");
  const auto index = find_instance(*model_, create.spec);
  if (!index)
    return refuse(ErrorCode::kInvalidPlacement,
                  "profile " + std::to_string(create.spec.nvml_profile) + " cannot start at " +
                      std::to_string(create.spec.placement.start));
  if ((layout() & catalog::bit(*index)) != 0 ||
      !model_->layouts.legal(layout() | catalog::bit(*index)))
    return refuse(ErrorCode::kNoRoom, "insufficient resources for profile " +
                                          std::to_string(create.spec.nvml_profile) + " at " +
                                          std::to_string(create.spec.placement.start));
  const InstanceState made{create.spec, least_free_id(instances_), new_uuid("MIG-", random), {}};
  const auto after = std::ranges::find_if(instances_, [&](const InstanceState& other) {
    return other.spec.placement.start > made.spec.placement.start;
  });
  instances_.insert(after, made);
  CHECK(model_->layouts.legal(layout()));
  return made.device;
}

std::expected<std::string, Error> Gpu::change(const DestroyInstance& destroy) {
  const auto found = std::ranges::find(instances_, destroy.device, &InstanceState::device);
  if (found == instances_.end())
    return refuse(ErrorCode::kNotFound, "no instance " + destroy.device);
  if (held(destroy.device)) return refuse(ErrorCode::kInUse, "a process holds " + destroy.device);
  std::erase_if(residues_, [&](const Residue& each) { return each.device == destroy.device; });
  instances_.erase(found);
  return std::string();
}

std::expected<std::string, Error> Gpu::change(const Scrub& scrub, Instant at) {
  if (!exists(scrub.device)) return refuse(ErrorCode::kNotFound, "no device " + scrub.device);
  const auto meant = [&](const Running& each) {
    return each.program.device == scrub.device &&
           (!scrub.tenant.valid() || each.program.tenant == scrub.tenant);
  };
  for (auto& each : running_)
    if (meant(each) && !each.dies) each.dies = at + each.program.linger;
  settle(at);
  const auto survivor = std::ranges::find_if(running_, meant);
  if (survivor != running_.end())
    return refuse(ErrorCode::kInUse, "process " + std::to_string(survivor->pid) + " still holds " +
                                         base::to_string(survivor->program.memory));
  if (!scrub.tenant.valid() && used(scrub.device) > MiB(0))
    return refuse(ErrorCode::kInUse, base::to_string(used(scrub.device)) +
                                         " read as used though no process holds them");
  return std::string();
}

std::vector<UseSample> Gpu::samples(Instant at, std::uint64_t seed) {
  constexpr Duration kLongest = std::chrono::seconds(2);
  const Duration span = sampled_ ? std::clamp(at - *sampled_, Duration(0), kLongest) : Duration(0);
  sampled_ = at;
  std::vector<UseSample> samples;
  const auto add = [&](const std::string& device, LeaseId tenant) {
    UseSample sample{.device = device, .memory = {}, .at = at, .span = span, .tenant = tenant};
    int busy = 0;
    for (const auto& each : running_) {
      if (each.program.device != device || (tenant.valid() && each.program.tenant != tenant))
        continue;
      busy += synthetic_load(seed, each.pid, each.program.load_permille, at);
      sample.memory += each.program.memory;
    }
    if (!tenant.valid()) sample.memory = used(device);
    sample.busy_permille = std::min(busy, 1000);
    samples.push_back(std::move(sample));
  };
  if (!mig_current_) {
    add(uuid_, {});
    std::set<LeaseId> tenants;
    for (const auto& each : running_)
      if (each.program.tenant.valid()) tenants.insert(each.program.tenant);
    for (const auto tenant : tenants) add(uuid_, tenant);
  }
  for (const auto& instance : instances_) add(instance.device, {});
  return samples;
}

std::optional<Error> Gpu::start(const Program& program, std::uint32_t pid) {
  if (lost_) return Error{ErrorCode::kGpuLost, uuid_ + " has fallen off the bus"};
  if (!exists(program.device)) return Error{ErrorCode::kNotFound, "no device " + program.device};
  if (mig_current_ && program.device == uuid_)
    return Error{ErrorCode::kWrongOrder, "MIG mode is on: a process runs on an instance"};
  const MiB capacity = memory_of(program.device);
  if (capacity > MiB(0) && used(program.device) + program.memory > capacity)
    return Error{ErrorCode::kNoRoom, "out of memory: " + base::to_string(capacity) + " in all"};
  running_.push_back({pid, program, std::nullopt});
  return std::nullopt;
}

bool Gpu::stop(std::uint32_t pid) {
  return std::erase_if(running_, [&](const Running& each) { return each.pid == pid; }) > 0;
}

void Gpu::settle(Instant at) {
  std::erase_if(running_, [&](const Running& each) { return each.dies && *each.dies <= at; });
  std::erase_if(residues_, [&](const Residue& each) { return each.until <= at; });
}

void Gpu::raise_xid(int code) {
  if (xids_.size() == kMostXids) xids_.erase(xids_.begin());
  xids_.push_back(code);
}

void Gpu::leave_memory(std::string device, MiB amount, Instant until) {
  residues_.push_back({std::move(device), amount, until});
}

void Gpu::boot() {
  lost_ = false;
  if (!board_keeps_mode(*model_)) mig_pending_ = false;
  mig_current_ = mig_pending_;
  xids_.clear();
  instances_.clear();
  running_.clear();
  residues_.clear();
}

bool Gpu::exists(const std::string& device) const {
  return device == uuid_ ||
         std::ranges::find(instances_, device, &InstanceState::device) != instances_.end();
}

bool Gpu::held(const std::string& device) const {
  return std::ranges::any_of(running_,
                             [&](const Running& each) { return each.program.device == device; });
}

MiB Gpu::memory_of(const std::string& device) const {
  for (const auto& instance : instances_) {
    if (instance.device != device) continue;
    const auto index = find_instance(*model_, instance.spec);
    CHECK(index.has_value());
    return model_->profile_of(*index).memory.value_or(MiB(0));
  }
  return model_->memory;
}

MiB Gpu::used(const std::string& device) const {
  MiB sum;
  for (const auto& each : running_)
    if (each.program.device == device) sum += each.program.memory;
  for (const auto& each : residues_)
    if (each.device == device) sum += each.amount;
  return sum;
}

catalog::Layout Gpu::layout() const {
  catalog::Layout layout = 0;
  for (const auto& instance : instances_) {
    const auto index = find_instance(*model_, instance.spec);
    CHECK(index.has_value());
    layout |= catalog::bit(*index);
  }
  return layout;
}

}  // namespace tessera::device::simulated
