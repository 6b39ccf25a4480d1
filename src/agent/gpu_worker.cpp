#include "agent/gpu_worker.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace tessera::agent {
namespace {

using base::Instant;
using device::Condition;
using device::ErrorCode;
using device::GpuState;
using device::Operation;
using device::OperationKind;
using fleet::GpuTarget;
using fleet::SlicePhase;
using fleet::SliceReport;
using fleet::SliceStatus;

constexpr std::size_t kMostTroubles = 64;

/// Errors of the GPU itself. All other Xids are a program's own doing and stay its own business.
struct FatalXid {
  int code;
  const char* meaning;
};
constexpr std::array kFatalXids = {
    FatalXid{48, "double-bit memory error"},
    FatalXid{62, "internal micro-controller halted"},
    FatalXid{64, "row remapping failed"},
    FatalXid{74, "NVLink error"},
    FatalXid{79, "fallen off the bus"},
    FatalXid{95, "uncontained memory error"},
    FatalXid{119, "GPU firmware does not answer"},
    FatalXid{120, "GPU firmware failed"},
};

std::string fatal_error(const GpuState& state) {
  for (const int code : state.xids)
    for (const auto& fatal : kFatalXids)
      if (fatal.code == code) return "Xid " + std::to_string(code) + ": " + fatal.meaning;
  return {};
}

/// No number of retries will help.
bool permanent(ErrorCode code) {
  return code == ErrorCode::kNotSupported || code == ErrorCode::kInvalidPlacement ||
         code == ErrorCode::kNotPermitted;
}

/// Does the failure speak against the GPU, or against the moment?
bool speaks_against_gpu(ErrorCode code) {
  return code != ErrorCode::kInUse && code != ErrorCode::kOverloaded &&
         code != ErrorCode::kNotFound && code != ErrorCode::kGpuLost;
}

/// Somebody else divides this GPU: two owners would undo each other's work.
std::string foreign_instance(const GpuState& state) {
  const auto found = std::ranges::find(state.instances, true, &device::InstanceState::foreign);
  if (found == state.instances.end()) return {};
  return "MIG instance " + found->device + " at " + std::to_string(found->spec.placement.start) +
         " was not made by this agent; destroy it, or start the agent with --adopt, and restore " +
         "the GPU";
}

bool for_lease(SlicePhase phase) {
  return phase == SlicePhase::kPreparing || phase == SlicePhase::kInUse;
}

void earlier(std::optional<Instant>& wake, Instant at) {
  wake = wake ? std::min(*wake, at) : at;
}

}  // namespace

void GpuWorker::submitted(device::OperationId id, const Operation& operation) {
  CHECK_MSG(!call_, "one operation at a time");
  const auto step = std::ranges::find(last_steps_, operation, &Step::operation);
  CHECK_MSG(step != last_steps_.end(), "only what the plan asks for");
  call_ = Call{id, step->serves};
  underway_ = operation;
}

void GpuWorker::forget_generations() {
  memory_ = {};
  waiting_since_.clear();
  if (call_) call_->serves.clear();
}

void GpuWorker::on_completion(const device::Completion& completion, Instant now,
                              const AgentOptions& options) {
  if (!call_ || call_->id != completion.id) return;
  if (completion.error)
    note_failure(*completion.error, now, options);
  else
    note_success();
  const bool settled = !completion.error || completion.error->code != ErrorCode::kTimeout;
  call_.reset();
  if (settled) underway_.reset();
}

void GpuWorker::note_success() {
  troubles_.erase(*underway_);
  if (quarantine_ && quarantine_->kind == kind_of(*underway_)) quarantine_.reset();
  if (const auto* scrub = std::get_if<device::Scrub>(&*underway_))
    for (const auto generation : call_->serves) memory_.cleaned[generation] = scrub->device;
}

void GpuWorker::note_failure(const device::Error& error, Instant now, const AgentOptions& options) {
  if (troubles_.size() >= kMostTroubles) troubles_.clear();
  auto& trouble = troubles_[*underway_];
  const auto wait = options.first_retry * (1 << std::min(trouble.failures, 16));
  ++trouble.failures;
  if (permanent(error.code))
    trouble.counted = options.most_failures;
  else if (speaks_against_gpu(error.code))
    ++trouble.counted;
  trouble.retry_at = now + std::min<base::Duration>(wait, options.longest_retry);
  trouble.detail = device::describe(*underway_) + ": " + std::string(to_string(error.code)) + " (" +
                   error.detail + ")";
  if (trouble.counted >= options.most_failures)
    quarantine_ = Quarantine{kind_of(*underway_), trouble.detail, now + options.quarantine};
}

GpuWorker::Turn GpuWorker::turn(const GpuTarget& target, const GpuState& state,
                                const catalog::GpuModel* model, const device::Capabilities& can,
                                Instant now, const AgentOptions& options) {
  if (state.condition == Condition::kAnswering && !call_) underway_.reset();
  Turn turn;
  if (state.condition == Condition::kLost) {
    memory_ = {};
    turn.report = describe(state, now);
    turn.report.slices = slices_of_lost(target, turn.report.detail);
    return turn;
  }
  const bool hung = state.condition == Condition::kHung;
  auto plan =
      hung ? GpuPlan{{}, slices_of_hung(target, describe(state, now).detail)}
           : plan_gpu({target, state, model, can, memory_, underway_ ? &*underway_ : nullptr});
  forget_what_is_gone(target, plan);
  tell_trouble(plan, options);
  if (const auto due = limit_patience(target, plan, now, options)) earlier(turn.wake_at, *due);
  remember_prepared(target, plan);

  for (const auto& step : plan.steps) {
    if (call_) break;
    const auto trouble = troubles_.find(step.operation);
    if (trouble == troubles_.end() || trouble->second.retry_at <= now) {
      turn.submit = step.operation;
      break;
    }
    earlier(turn.wake_at, trouble->second.retry_at);
  }
  turn.report = describe(state, now);
  if (turn.report.health == fleet::Health::kHealthy && !plan.unfit.empty()) {
    turn.report.health = fleet::Health::kQuarantined;
    turn.report.detail = plan.unfit;
  }
  turn.report.slices = std::move(plan.slices);
  last_steps_ = std::move(plan.steps);
  return turn;
}

fleet::GpuReport GpuWorker::look(const GpuState& state, Instant now) {
  return describe(state, now);
}

/// What nobody asks for any more is not remembered; so the tables stay as small as the target.
void GpuWorker::forget_what_is_gone(const GpuTarget& target, const GpuPlan& plan) {
  const auto asked = [&](const auto& entry) {
    return std::ranges::find(target.slices, entry.first, &fleet::TargetSlice::generation) !=
           target.slices.end();
  };
  std::erase_if(memory_.prepared, [&](const auto& entry) { return !asked(entry); });
  std::erase_if(memory_.cleaned, [&](const auto& entry) { return !asked(entry); });
  std::erase_if(waiting_since_, [&](const auto& entry) { return !asked(entry); });
  if (call_ || underway_) return;  // the plan may lack what is being done now
  std::erase_if(troubles_, [&](const auto& entry) {
    return std::ranges::find(plan.steps, entry.first, &Step::operation) == plan.steps.end();
  });
}

void GpuWorker::tell_trouble(GpuPlan& plan, const AgentOptions& options) const {
  for (const auto& step : plan.steps) {
    const auto found = troubles_.find(step.operation);
    if (found == troubles_.end()) continue;
    for (const auto generation : step.serves) {
      const auto slice = std::ranges::find(plan.slices, generation, &SliceReport::generation);
      if (slice == plan.slices.end() || slice->status != SliceStatus::kPending) continue;
      slice->detail = found->second.detail;
      if (found->second.counted >= options.most_failures) slice->status = SliceStatus::kFailed;
    }
  }
}

std::optional<Instant> GpuWorker::limit_patience(const GpuTarget& target, GpuPlan& plan,
                                                 Instant now, const AgentOptions& options) {
  std::optional<Instant> next;
  for (std::size_t i = 0; i < target.slices.size(); ++i) {
    const auto& slice = target.slices[i];
    auto& report = plan.slices[i];
    if (!for_lease(slice.phase) || report.status != SliceStatus::kPending) {
      if (report.status != SliceStatus::kFailed) waiting_since_.erase(slice.generation);
      continue;
    }
    const auto since = waiting_since_.try_emplace(slice.generation, now).first->second;
    if (now - since < options.patience) {
      earlier(next, since + options.patience);
      continue;
    }
    report.status = SliceStatus::kFailed;
    if (report.detail.empty()) report.detail = "the GPU did not get ready";
    report.detail += "; given up after " + base::to_string(options.patience);
  }
  return next;
}

void GpuWorker::remember_prepared(const GpuTarget& target, const GpuPlan& plan) {
  for (std::size_t i = 0; i < target.slices.size(); ++i)
    if (for_lease(target.slices[i].phase) && plan.slices[i].status == SliceStatus::kReady)
      memory_.prepared[target.slices[i].generation] = plan.slices[i].device;
}

fleet::GpuReport GpuWorker::describe(const GpuState& state, Instant now) const {
  fleet::GpuReport report;
  report.number = state.number;
  report.uuid = state.uuid;
  report.pci_id = state.pci_id;
  if (state.condition == Condition::kLost)
    report.detail = "the GPU has fallen off the bus; it comes back with a reset or reboot at best";
  else if (state.condition == Condition::kHung)
    report.detail = "a driver call on the GPU has not come back";
  else if (auto fatal = fatal_error(state); !fatal.empty())
    report.detail = std::move(fatal);
  else if (auto foreign = foreign_instance(state); !foreign.empty())
    report.detail = std::move(foreign);
  else if (quarantine_ && quarantine_->until > now)
    report.detail = quarantine_->detail;
  if (!report.detail.empty()) report.health = fleet::Health::kQuarantined;
  return report;
}

}  // namespace tessera::agent
