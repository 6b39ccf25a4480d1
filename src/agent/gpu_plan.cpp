#include "agent/gpu_plan.h"

#include <algorithm>
#include <optional>

namespace tessera::agent {
namespace {

using device::CreateInstance;
using device::DestroyInstance;
using device::InstanceState;
using device::Operation;
using device::Process;
using device::Scrub;
using device::SetMigMode;
using fleet::SlicePhase;
using fleet::SliceReport;
using fleet::SliceStatus;
using fleet::TargetSlice;

bool for_lease(const TargetSlice& slice) {
  return slice.phase == SlicePhase::kPreparing || slice.phase == SlicePhase::kInUse;
}
/// A failed slice becomes usable again the way a scrubbed one does: by being verified free.
bool to_be_cleaned(const TargetSlice& slice) {
  return slice.phase == SlicePhase::kScrubbing || slice.phase == SlicePhase::kFailed;
}

std::string held_by(const Process& process) {
  return "process " + std::to_string(process.pid) + " holds " + process.device;
}
std::string made_elsewhere(const InstanceState& instance) {
  return instance.device + " was not made by this agent";
}

class Planner {
 public:
  explicit Planner(const GpuView& view) : view_(view) {}

  GpuPlan run() {
    const auto& slices = view_.target.slices;
    for (const auto& slice : slices)
      plan_.slices.push_back({slice.generation, SliceStatus::kPending, {}, {}});
    const bool mig = view_.target.mig || std::ranges::any_of(slices, is_mig);
    if (mig)
      divide();
    else
      unite();
    return std::move(plan_);
  }

 private:
  static bool is_mig(const TargetSlice& slice) {
    return std::holds_alternative<fleet::MigSlice>(slice.shape);
  }

  SliceReport& report(const TargetSlice& slice) {
    return plan_.slices[static_cast<std::size_t>(&slice - view_.target.slices.data())];
  }
  void set(const TargetSlice& slice, SliceStatus status, std::string device, std::string detail) {
    report(slice) = {slice.generation, status, std::move(device), std::move(detail)};
  }
  void fail(const TargetSlice& slice, std::string detail) {
    set(slice, SliceStatus::kFailed, {}, std::move(detail));
  }
  /// Fails for a reason that any slice of its kind would meet here.
  void fail_all_such(const TargetSlice& slice, const std::string& detail) {
    plan_.unfit = detail;
    fail(slice, detail);
  }
  void wait(const TargetSlice& slice, std::string detail) {
    report(slice).detail = std::move(detail);
  }
  void add(Operation operation, const TargetSlice* serves) {
    auto step = std::ranges::find(plan_.steps, operation, &Step::operation);
    if (step == plan_.steps.end())
      step = plan_.steps.insert(plan_.steps.end(), Step{std::move(operation), {}});
    if (serves != nullptr) step->serves.push_back(serves->generation);
  }
  device::GpuNumber number() const { return view_.state.number; }

  const Process* process_on(const std::string& device) const {
    const auto& all = view_.state.processes;
    const auto found = std::ranges::find(all, device, &Process::device);
    return found == all.end() ? nullptr : &*found;
  }
  /// Why an instance has to stay; empty: it may go.
  std::string reason_to_stay(const InstanceState& instance) const {
    if (instance.foreign) return made_elsewhere(instance);
    const auto* process = process_on(instance.device);
    return process == nullptr ? std::string() : held_by(*process);
  }
  /// Being destroyed: it may vanish at any moment.
  bool doomed(const InstanceState& instance) const {
    if (view_.underway == nullptr) return false;
    const auto* destroy = std::get_if<DestroyInstance>(view_.underway);
    return destroy != nullptr && destroy->device == instance.device;
  }
  bool mode_is_changing() const {
    return view_.underway != nullptr && std::holds_alternative<SetMigMode>(*view_.underway);
  }

  void divide();
  void unite();

  // The parts of divide().
  void match(const TargetSlice& slice);
  void turn_mig_on();
  void make(const TargetSlice& slice, const device::InstanceSpec& spec);
  bool fits(catalog::InstanceIndex index) const;
  void settle_instance(const TargetSlice& slice, const InstanceState& instance);
  void settle_absent(const TargetSlice& slice, const device::InstanceSpec& spec);

  // The parts of unite().
  bool turn_mig_off();
  void settle_undivided(const TargetSlice& slice, bool undivided);
  void scrub(const TargetSlice& slice, const std::string& device, fleet::LeaseId tenant);
  /// Settles what this node cannot serve at all.
  bool unsupported(const TargetSlice& slice);

  const GpuView& view_;
  GpuPlan plan_;
  struct Wanted {
    const TargetSlice* slice;
    device::InstanceSpec spec;
    const InstanceState* existing;
  };
  std::vector<Wanted> wanted_;
  std::vector<const InstanceState*> surplus_;
};

void Planner::match(const TargetSlice& slice) {
  const auto* mig = std::get_if<fleet::MigSlice>(&slice.shape);
  if (mig == nullptr)
    return fail(slice, "the target asks for MIG and for an undivided GPU at once");
  if (unsupported(slice)) return;
  if (view_.model == nullptr)
    return fail_all_such(slice,
                         "the catalog of this agent does not know the GPU; update the agent");
  const auto spec = device::spec_of(*view_.model, mig->instance);
  if (!spec)
    return fail(slice, "the catalog of this agent has no instance " +
                           std::to_string(mig->instance) + " of " + view_.model->key +
                           "; update the agent");
  const auto& instances = view_.state.instances;
  const auto found = std::ranges::find(instances, *spec, &InstanceState::spec);
  const bool there = found != instances.end() && !doomed(*found) && !found->foreign;
  wanted_.push_back({&slice, *spec, there ? &*found : nullptr});
}

void Planner::divide() {
  for (const auto& slice : view_.target.slices) match(slice);
  for (const auto& instance : view_.state.instances)
    if ((instance.foreign ||
         std::ranges::find(wanted_, instance.spec, &Wanted::spec) == wanted_.end()) &&
        !doomed(instance))
      surplus_.push_back(&instance);

  std::ranges::stable_sort(wanted_, [](const Wanted& a, const Wanted& b) {
    return for_lease(*a.slice) > for_lease(*b.slice);
  });
  for (const auto& wanted : wanted_) {
    if (wanted.existing != nullptr)
      settle_instance(*wanted.slice, *wanted.existing);
    else if (to_be_cleaned(*wanted.slice) && view_.underway == nullptr)
      settle_absent(*wanted.slice, wanted.spec);
    else if (view_.state.mig_current && !to_be_cleaned(*wanted.slice))
      make(*wanted.slice, wanted.spec);
  }
  if (!view_.state.mig_current) turn_mig_on();
  for (const auto* instance : surplus_)
    if (reason_to_stay(*instance).empty())
      add(DestroyInstance{number(), instance->device}, nullptr);
}

void Planner::turn_mig_on() {
  const bool blocked = view_.state.in_use();
  for (const auto& wanted : wanted_) {
    if (report(*wanted.slice).status != SliceStatus::kPending) continue;
    if (blocked)
      wait(*wanted.slice, "MIG mode waits: " + held_by(view_.state.processes.front()));
    else
      add(SetMigMode{number(), true}, wanted.slice);
  }
  if (!blocked) add(SetMigMode{number(), true}, nullptr);
}

bool Planner::fits(catalog::InstanceIndex index) const {
  const auto place = view_.model->layouts.instance(index).placement;
  catalog::Layout layout = catalog::bit(index);
  for (const auto& instance : view_.state.instances) {
    if (instance.spec.placement.overlaps(place)) return false;
    if (const auto other = device::find_instance(*view_.model, instance.spec))
      layout |= catalog::bit(*other);
  }
  return view_.model->layouts.legal(layout);
}

void Planner::make(const TargetSlice& slice, const device::InstanceSpec& spec) {
  const auto index = std::get<fleet::MigSlice>(slice.shape).instance;
  if (fits(index)) return add(CreateInstance{number(), spec}, &slice);
  if (view_.underway != nullptr) return;  // what is underway may be what makes room
  bool found = false;
  const auto clear = [&](const InstanceState& instance) {
    found = true;
    if (const auto reason = reason_to_stay(instance); !reason.empty())
      wait(slice, "its place is taken: " + reason);
    else
      add(DestroyInstance{number(), instance.device}, &slice);
  };
  for (const auto* instance : surplus_)
    if (instance->spec.placement.overlaps(spec.placement)) clear(*instance);
  if (found) return;
  // Nothing overlaps: a profile may also allow fewer instances than it has places.
  for (const auto* instance : surplus_)
    if (instance->spec.nvml_profile == spec.nvml_profile) clear(*instance);
  if (!found) fail(slice, "the target has no room for it beside its other slices");
}

void Planner::settle_instance(const TargetSlice& slice, const InstanceState& instance) {
  const auto& device = instance.device;
  const auto* process = process_on(device);
  if (to_be_cleaned(slice)) return scrub(slice, device, {});
  if (slice.phase == SlicePhase::kIdle) {
    if (process != nullptr)
      return set(slice, SliceStatus::kPending, device, held_by(*process) + " without a lease");
    return set(slice, SliceStatus::kClean, device, {});
  }
  const auto prepared = view_.memory.prepared.find(slice.generation);
  const bool known = prepared != view_.memory.prepared.end() && prepared->second == device;
  // Nobody has been let in yet, so no program there can be this lease's, whatever its number says.
  if (slice.phase == SlicePhase::kPreparing && !known && process != nullptr)
    return set(slice, SliceStatus::kPending, device, held_by(*process) + " of another lease");
  set(slice, SliceStatus::kReady, device, {});
}

/// A slice to be cleaned that was never made, or is gone: free, unless somebody's program is in its
/// place.
void Planner::settle_absent(const TargetSlice& slice, const device::InstanceSpec& spec) {
  if (!view_.state.mig_current && view_.state.in_use())
    return wait(slice, "its place is taken: " + held_by(view_.state.processes.front()));
  for (const auto* instance : surplus_) {
    const auto* process = process_on(instance->device);
    if (process != nullptr && instance->spec.placement.overlaps(spec.placement))
      return wait(slice, "its place is taken: " + held_by(*process));
  }
  set(slice, SliceStatus::kClean, {}, {});
}

void Planner::unite() {
  const bool undivided = turn_mig_off();
  for (const auto& slice : view_.target.slices)
    if (!unsupported(slice)) settle_undivided(slice, undivided);
}

bool Planner::turn_mig_off() {
  const auto& state = view_.state;
  const auto all_wait = [&](const std::string& detail) {
    for (const auto& slice : view_.target.slices) wait(slice, detail);
  };
  const auto add_for_all = [&](const Operation& operation) {
    add(operation, nullptr);
    for (const auto& slice : view_.target.slices)
      if (for_lease(slice)) add(operation, &slice);
  };
  for (const auto& instance : state.instances) {
    if (doomed(instance)) continue;
    if (const auto reason = reason_to_stay(instance); !reason.empty())
      all_wait("MIG instances stay: " + reason);
    else
      add_for_all(DestroyInstance{number(), instance.device});
  }
  if (!state.instances.empty()) return false;
  if (!state.mig_current) return !mode_is_changing();
  if (state.in_use())
    all_wait("MIG mode waits: " + held_by(state.processes.front()));
  else
    add_for_all(SetMigMode{number(), false});
  return false;
}

void Planner::settle_undivided(const TargetSlice& slice, bool undivided) {
  const auto& uuid = view_.state.uuid;
  const bool share = std::holds_alternative<fleet::ShareSlice>(slice.shape);
  if (slice.phase == SlicePhase::kIdle) return set(slice, SliceStatus::kClean, {}, {});
  if (to_be_cleaned(slice)) {
    if (share && !slice.holder.valid())
      return fail(slice, "a share without a holder cannot be told from its neighbours");
    return scrub(slice, uuid, share ? slice.holder : fleet::LeaseId{});
  }
  if (!undivided) return;
  const bool known = view_.memory.prepared.contains(slice.generation);
  if (!share && slice.phase == SlicePhase::kPreparing && !known && view_.state.in_use())
    return set(slice, SliceStatus::kPending, uuid,
               held_by(view_.state.processes.front()) + " of another lease");
  set(slice, SliceStatus::kReady, uuid, {});
}

void Planner::scrub(const TargetSlice& slice, const std::string& device, fleet::LeaseId tenant) {
  const auto cleaned = view_.memory.cleaned.find(slice.generation);
  if (cleaned != view_.memory.cleaned.end() && cleaned->second == device)
    return set(slice, SliceStatus::kClean, device, {});
  const auto stranger = std::ranges::find_if(view_.state.processes, [&](const Process& process) {
    return process.device == device && (!tenant.valid() || process.tenant == tenant);
  });
  if (slice.phase == SlicePhase::kFailed && stranger != view_.state.processes.end())
    return set(slice, SliceStatus::kPending, device,
               held_by(*stranger) + ", though nobody was let in");
  set(slice, SliceStatus::kPending, device, {});
  add(Scrub{number(), device, tenant}, &slice);
}

bool Planner::unsupported(const TargetSlice& slice) {
  const auto technology = fleet::technology_of(slice.shape);
  if (view_.can.supports(technology)) return false;
  if (for_lease(slice))
    fail_all_such(slice,
                  "this node cannot serve " + std::string(to_string(technology)) + " slices");
  else
    set(slice, SliceStatus::kClean, {}, {});  // it never was anything here
  return true;
}

}  // namespace

GpuPlan plan_gpu(const GpuView& view) {
  return Planner(view).run();
}

std::vector<SliceReport> slices_of_lost(const fleet::GpuTarget& target, const std::string& detail) {
  std::vector<SliceReport> slices;
  for (const auto& slice : target.slices)
    slices.push_back(
        {slice.generation,
         slice.phase == SlicePhase::kIdle ? SliceStatus::kPending : SliceStatus::kFailed,
         {},
         detail});
  return slices;
}

std::vector<SliceReport> slices_of_hung(const fleet::GpuTarget& target, const std::string& detail) {
  std::vector<SliceReport> slices;
  for (const auto& slice : target.slices)
    slices.push_back({slice.generation, SliceStatus::kPending, {}, detail});
  return slices;
}

}  // namespace tessera::agent
