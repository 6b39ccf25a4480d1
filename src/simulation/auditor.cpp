#include "simulation/auditor.h"

#include <algorithm>
#include <set>

#include "device/instance_spec.h"
#include "simulation/faults.h"

namespace tessera::simulation {
namespace {

using device::InstanceState;
using fleet::SlicePhase;
using request::LeaseState;

[[noreturn]] void broken(const std::string& promise, const std::string& what) {
  throw Violation(promise + ": " + what);
}

std::string name_of(request::LeaseId id) {
  return "lease-" + std::to_string(id.value());
}

/// One GPU as the state has it against the same GPU as the machine has it.
class Comparison {
 public:
  Comparison(const catalog::GpuModel& model, const fleet::Gpu& gpu, const device::GpuState& device)
      : model_(model), gpu_(gpu), device_(device) {}

  std::string difference() const {
    if (gpu_.health != fleet::Health::kHealthy) return "is quarantined: " + gpu_.health_detail;
    if (device_.condition != device::Condition::kAnswering) return "does not answer";
    const bool mig = std::ranges::any_of(gpu_.slices, [](const auto& slice) {
      return std::holds_alternative<fleet::MigSlice>(slice.shape);
    });
    if (device_.mig_current != mig) return "has the wrong MIG mode";
    std::set<std::string> known;
    for (const auto& slice : gpu_.slices)
      if (auto what = difference(slice, known); !what.empty()) return what;
    for (const auto& instance : device_.instances)
      if (!known.contains(instance.device)) return "has an instance nobody knows";
    for (const auto& process : device_.processes)
      if (auto what = difference(process); !what.empty()) return what;
    return {};
  }

 private:
  std::string difference(const fleet::Slice& slice, std::set<std::string>& known) const {
    const auto label = "slice " + std::to_string(slice.generation);
    if (slice.phase != SlicePhase::kIdle && slice.phase != SlicePhase::kInUse)
      return label + " is " + std::string(to_string(slice.phase));
    std::string device = gpu_.uuid;
    if (const auto* mig = std::get_if<fleet::MigSlice>(&slice.shape)) {
      const auto spec = device::spec_of(model_, mig->instance);
      const auto found = std::ranges::find(device_.instances, *spec, &InstanceState::spec);
      if (found == device_.instances.end()) return label + " has no instance";
      device = found->device;
      known.insert(device);
    }
    if (slice.phase == SlicePhase::kInUse && slice.device != device)
      return label + " of " + name_of(slice.holder) + " is said to be " + slice.device + ", but " +
             device + " is in its place";
    return {};
  }

  /// Every process belongs to the lease that holds its device.
  std::string difference(const device::Process& process) const {
    const bool held = std::ranges::any_of(gpu_.slices, [&](const fleet::Slice& slice) {
      return slice.phase == SlicePhase::kInUse && slice.holder == process.tenant &&
             slice.device == process.device;
    });
    return held ? std::string()
                : "has a process of " + name_of(process.tenant) + " without a lease";
  }

  const catalog::GpuModel& model_;
  const fleet::Gpu& gpu_;
  const device::GpuState& device_;
};

}  // namespace

Auditor::Auditor(const catalog::Catalog& catalog, const Nodes& nodes)
    : catalog_(catalog), nodes_(nodes), books_(catalog), invariants_(control::all_invariants()) {}

void Auditor::note(const control::State& state, const control::Record& record) {
  books_.note(record);
  for (const auto& invariant : invariants_)
    if (const auto what = invariant->check(state, record))
      broken(std::string(invariant->name()),
             "revision " + std::to_string(record.revision) + ": " + *what);
  for (const auto& event : record.events)
    if (const auto* ready = std::get_if<control::SliceReady>(&event)) check_handover(state, *ready);
}

void Auditor::check_all(const control::State& state) const {
  for (const auto& invariant : invariants_)
    if (const auto what = invariant->check_all(state))
      broken(std::string(invariant->name()),
             "at revision " + std::to_string(state.revision()) + ": " + *what);
  check_acknowledged(state);
}

/// The tenant is let in now: nobody else may be on the device.
void Auditor::check_handover(const control::State& state, const control::SliceReady& event) const {
  const auto& gpu = state.fleet().gpu(event.gpu);
  const auto* slice = gpu.find(event.generation);
  if (slice == nullptr || std::holds_alternative<fleet::ShareSlice>(slice->shape)) return;
  const auto& name = state.fleet().node(gpu.node).name;
  const auto seen = nodes_.at(name)->machine().observe();
  const auto* device = seen.find(gpu.number);
  if (device == nullptr) return;
  const bool whole = std::holds_alternative<fleet::WholeSlice>(slice->shape);
  for (const auto& process : device->processes)
    if (process.tenant != slice->holder && (whole || process.device == event.device))
      broken("ScrubBeforeReuse", state.fleet().gpu_name(event.gpu) + " was handed to " +
                                     name_of(slice->holder) + " while a process of " +
                                     name_of(process.tenant) + " is on it");
}

void Auditor::acknowledged(const request::Request& request) {
  acknowledged_[request.id] = {request.team, request.need};
}

void Auditor::check_acknowledged(const control::State& state) const {
  for (const auto& [id, asked] : acknowledged_) {
    const auto* request = state.find(id);
    if (request == nullptr || request->team != asked.team || request->need != asked.need)
      broken("AcknowledgedIsKept", "req-" + std::to_string(id.value()) + " is lost or changed");
  }
}

void Auditor::check_overdue(Instant before) const {
  if (const auto what = books_.overdue(before); !what.empty()) broken("LeasesEnd", what);
}

std::string Auditor::unsettled(const control::State& state) const {
  for (const auto& [id, lease] : state.leases())
    if (lease.state == LeaseState::kProvisioning || lease.state == LeaseState::kReleasing)
      return name_of(id) + " is " + std::string(to_string(lease.state));
  for (const auto& node : state.fleet().nodes()) {
    if (node.name.empty()) continue;  // deleted
    if (node.phase != fleet::NodePhase::kReady) return "node " + node.name + " is lost";
    const auto seen = nodes_.at(node.name)->machine().observe();
    for (const auto index : node.gpus) {
      const auto& gpu = state.fleet().gpu(index);
      const auto* device = seen.find(gpu.number);
      const auto name = state.fleet().gpu_name(index);
      if (device == nullptr) return name + " is not on its machine";
      const auto& model = catalog_.model(state.fleet().pool(node.pool).model);
      if (auto what = Comparison(model, gpu, *device).difference(); !what.empty())
        return name + " " + what;
    }
  }
  return {};
}

}  // namespace tessera::simulation
