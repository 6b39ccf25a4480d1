#include "control/advance_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "control/plan_places.h"
#include "control/restarts.h"

namespace tessera::control {
namespace {

using catalog::Layout;
using fleet::MigSlice;
using fleet::SlicePhase;

std::optional<Obstacle> obstacle_in(const State& state, const Plan& plan) {
  for (const auto& move : plan.moves) {
    if (move.phase == MovePhase::kGivenUp) return Obstacle{Reason::kDeviceFailed, plan.message};
    if (!unfinished(move.phase)) continue;
    for (const auto gpu : {move.from, move.to})
      if (auto found = obstacle_on(state, gpu)) return found;
    const auto* lease = move.phase == MovePhase::kWaiting ? state.find(move.lease) : nullptr;
    if (lease == nullptr || !request::promised(*lease)) continue;
    if (auto found = obstacle_of(state, *lease)) return found;
  }
  return std::nullopt;
}

/// Finds the moves of one plan that can begin now, in order. A move waits for those before it that
/// need the same place or free it, and for earlier ones of its own lease. What restarts leases is
/// begun elsewhere (control/restarts.h).
class Starter {
 public:
  Starter(const State& state, const Plan& plan) : state_(state), plan_(plan) {
    for (const auto& move : plan.moves)
      if (move.phase == MovePhase::kPreparing || move.phase == MovePhase::kSwitched) ++under_way_;
  }

  Events begin() {
    Events events;
    for (std::size_t i = 0; i < plan_.moves.size(); ++i) {
      const auto& move = plan_.moves[i];
      if (!unfinished(move.phase)) continue;
      if (move.kind == MoveKind::kMove && move.phase == MovePhase::kWaiting && may_begin(move)) {
        events.push_back(event_of(move, i));
        granted_[move.to] |= catalog::bit(move.to_instance);
        ++under_way_;
      }
      earlier_[move.to].push_back(move.to_instance);
      earlier_[move.from].push_back(move.from_instance);
      busy_.insert(move.lease);
    }
    return events;
  }

 private:
  bool may_begin(const PlannedMove& move) const {
    if (plan_.max_parallel != 0 && under_way_ >= plan_.max_parallel) return false;
    if (busy_.contains(move.lease)) return false;
    const auto& layouts = layouts_of(state_, move.to);
    if (const auto before = earlier_.find(move.to); before != earlier_.end())
      for (const auto instance : before->second)
        if ((layouts.conflicts(instance) & catalog::bit(move.to_instance)) != 0) return false;
    const auto occupancy = fleet::occupancy_of(state_.fleet().gpu(move.to));
    const auto granted = granted_.find(move.to);
    const Layout held = occupancy.held | (granted == granted_.end() ? Layout{0} : granted->second);
    if (!occupancy.empty() && occupancy.technology != catalog::Technology::kMig) return false;
    return (layouts.addable(held) & catalog::bit(move.to_instance)) != 0 && is_there(move);
  }

  /// The lease stands, and where the plan has it.
  bool is_there(const PlannedMove& move) const {
    const auto* lease = state_.find(move.lease);
    if (lease == nullptr || lease->state > request::LeaseState::kExpiring) return false;
    const auto& at = lease->slices.front();
    const auto* slice = state_.fleet().gpu(at.gpu).find(at.generation);
    return at.gpu == move.from && at.shape == fleet::SliceShape(MigSlice{move.from_instance}) &&
           slice != nullptr && slice->phase == SlicePhase::kInUse;
  }

  LeaseMoving event_of(const PlannedMove& move, std::size_t index) {
    const auto handed_out =
        ++generations_.try_emplace(move.to, state_.fleet().gpu(move.to).generation).first->second;
    LeaseMoving event{.lease = move.lease,
                      .plan = plan_.id,
                      .move = static_cast<std::uint32_t>(index),
                      .to = {move.to, handed_out, MigSlice{move.to_instance}},
                      .retired = {}};
    for (const auto& retired : in_the_way(state_, move.to, catalog::bit(move.to_instance)))
      if (retired_.insert({retired.gpu, retired.generation}).second)
        event.retired.push_back(retired);
    return event;
  }

  const State& state_;
  const Plan& plan_;
  std::uint32_t under_way_ = 0;
  std::map<GpuIndex, std::vector<catalog::InstanceIndex>> earlier_;  ///< needed or freed before
  std::map<GpuIndex, Layout> granted_;                               ///< by this very step
  std::map<GpuIndex, std::uint64_t> generations_;
  std::set<std::pair<GpuIndex, std::uint64_t>> retired_;
  std::set<LeaseId> busy_;  ///< leases with an earlier move
};

/// GPUs that the plan still holds although none of its moves needs them any more. One that was
/// given up is a restart that turns back.
std::vector<GpuIndex> finished_gpus(const State& state, const Plan& plan) {
  std::set<GpuIndex> needed;
  for (const auto& move : plan.moves)
    if (unfinished(move.phase) || move.phase == MovePhase::kGivenUp)
      needed.insert({move.from, move.to});
  std::vector<GpuIndex> finished;
  for (const auto& planned : plan.gpus)
    if (const auto& gpu = state.fleet().gpu(planned.gpu);
        gpu.node.valid() && gpu.changing && !needed.contains(planned.gpu))
      finished.push_back(planned.gpu);
  return finished;
}

/// The planned grant as an event, if the request still waits and may have that place.
std::optional<LeaseGranted> planned_grant(const State& state, const PlannedGrant& planned,
                                          Instant now) {
  const auto* request = state.find(planned.request);
  if (request == nullptr || request->state != request::RequestState::kQueued) return std::nullopt;
  const auto open = [&](const Seat& seat) {
    return state.fleet().gpu(seat.gpu).node.valid() && state.index().open(seat.gpu);
  };
  if (!std::ranges::all_of(planned.seats(), open)) return std::nullopt;
  const auto* team = state.find_team(request->team);
  CHECK_MSG(team != nullptr, request->team);
  return grant_at(state, *request, planned.seats(), world_of(state, *team), now);
}

base::Error changed(const Plan& plan, Reason reason, const std::string& what) {
  return {reason, what, "plan-" + std::to_string(plan.id.value()), "compute a new plan"};
}

std::optional<base::Error> outdated_gpu(const State& state, const Plan& plan,
                                        const PlannedGpu& planned) {
  if (planned.gpu.value() >= state.fleet().gpus().size())
    return changed(plan, Reason::kUnknownObject, "the plan names a GPU that does not exist");
  if (const auto found = obstacle_on(state, planned.gpu))
    return changed(plan, Reason::kPlanOutdated, found->message);
  std::vector<std::uint64_t> held;
  for (const auto& slice : state.fleet().gpu(planned.gpu).slices)
    if (slice.phase != SlicePhase::kIdle) held.push_back(slice.generation);
  if (held == planned.held) return std::nullopt;
  return changed(plan, Reason::kPlanOutdated,
                 "leases have come to GPU " + state.fleet().gpu_name(planned.gpu) +
                     " or gone from it since revision " + std::to_string(plan.revision));
}

std::optional<base::Error> outdated_move(const State& state, const Plan& plan,
                                         const PlannedMove& move) {
  const auto* lease = state.find(move.lease);
  const auto name = "lease-" + std::to_string(move.lease.value());
  if (lease == nullptr || lease->state > request::LeaseState::kExpiring ||
      lease->state == request::LeaseState::kProvisioning || lease->slices.size() != 1 ||
      lease->arriving)
    return changed(plan, Reason::kPlanOutdated, name + " cannot be moved now");
  const auto& at = lease->slices.front();
  if (at.gpu != move.from || at.shape != fleet::SliceShape(MigSlice{move.from_instance}))
    return changed(plan, Reason::kPlanOutdated, name + " is somewhere else now");
  if (const auto found = obstacle_of(state, *lease))
    return changed(plan, Reason::kPlanOutdated, found->message);
  return std::nullopt;
}

/// What a plan whose moves are over has come to.
PlanEnded end_of(const Plan& plan) {
  if (plan.turns) return {plan.id, *plan.turns, plan.reason, plan.message};
  if (!plan.cut_short) return {plan.id, PlanState::kDone, {}, {}};
  const auto counts = [](const PlannedMove& move) { return move.kind != MoveKind::kStop; };
  const auto done = std::ranges::count_if(plan.moves, [&](const PlannedMove& move) {
    return counts(move) && move.phase == MovePhase::kDone;
  });
  return {plan.id, PlanState::kAborted, Reason::kWindowClosed,
          "its window closed with " + std::to_string(done) + " of " +
              std::to_string(std::ranges::count_if(plan.moves, counts)) + " moves done"};
}

}  // namespace

Events stop_plan(const State& state, const Plan& plan, PlanState as, std::optional<Reason> reason,
                 const std::string& message, bool at_once) {
  Events events;
  if (plan.turns && !at_once) return events;
  for (const auto& move : plan.moves)
    if (move.kind == MoveKind::kMove && move.phase == MovePhase::kPreparing &&
        state.find(move.lease)->arriving)
      events.push_back(LeaseStays{move.lease, message});
  if (!at_once && plan.state == PlanState::kApplying && owes_restart(plan))
    events.push_back(PlanTurnedBack{plan.id, as, reason, message});
  else
    events.push_back(PlanEnded{plan.id, as, reason, message});
  return events;
}

std::optional<base::Error> outdated(const State& state, const Plan& plan) {
  return outdated_parts(state, plan).first;
}

Outdated outdated_parts(const State& state, const Plan& plan) {
  Outdated found;
  std::set<GpuIndex> gpus;
  const auto take = [&](std::optional<base::Error> error, std::initializer_list<GpuIndex> of) {
    if (!error) return;
    gpus.insert(of);
    if (!found.first) found.first = std::move(error);
  };
  for (const auto& planned : plan.gpus) take(outdated_gpu(state, plan, planned), {planned.gpu});
  std::set<LeaseId> seen;
  for (const auto& move : plan.moves)
    if (seen.insert(move.lease).second)  // later ones go on from where the plan parks it
      take(outdated_move(state, plan, move), {move.from, move.to});
  for (std::size_t before = 0; before != gpus.size();) {
    before = gpus.size();
    for (const auto& move : plan.moves)
      if (gpus.contains(move.from) || gpus.contains(move.to)) gpus.insert({move.from, move.to});
  }
  found.gpus.assign(gpus.begin(), gpus.end());
  return found;
}

void advance_plan(State& state, Instant now, Events& events) {
  const auto take = [&](Event event) {
    state.apply(event, now);
    events.push_back(std::move(event));
  };
  const auto take_all = [&](Events more) {
    for (auto& event : more) take(std::move(event));
  };
  const auto* plan = state.applying();
  if (plan == nullptr) return;
  if (now >= plan->progressed + kPlanPatience)
    return take_all(stop_plan(state, *plan, plan->turns.value_or(PlanState::kStopped),
                              Reason::kUnavailable,
                              "nothing has moved for " + base::to_string(kPlanPatience), true));
  if (const auto found = plan->turns ? std::nullopt : obstacle_in(state, *plan)) {
    take_all(stop_plan(state, *plan, PlanState::kStopped, found->reason, found->message, false));
    if (plan->state != PlanState::kApplying) return;
  }
  if (cut_short_at(*plan) <= now) take(PlanCutShort{plan->id});
  take_all(announce_restarts(state, *plan, now));
  take_all(Starter(state, *plan).begin());
  take_all(stop_leases(state, *plan, now));
  place_stopped(state, *plan, now, events);
  if (auto finished = finished_gpus(state, *plan); !finished.empty()) {
    const std::set<GpuIndex> released(finished.begin(), finished.end());
    take(PlanAdvanced{plan->id, std::move(finished)});
    const auto just_released = [&](const Seat& seat) { return released.contains(seat.gpu); };
    for (const auto& planned : plan->grants)
      if (std::ranges::any_of(planned.seats(), just_released))
        if (auto granted = planned_grant(state, planned, now)) take(std::move(*granted));
  }
  const bool left =
      owes_restart(*plan) || std::ranges::any_of(plan->moves, [](const PlannedMove& move) {
        return unfinished(move.phase);
      });
  if (!left || (plan->turns && !owes_restart(*plan))) take(end_of(*plan));
}

}  // namespace tessera::control
