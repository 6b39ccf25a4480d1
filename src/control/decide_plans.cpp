#include <algorithm>
#include <map>
#include <set>

#include "control/advance_plan.h"
#include "control/decide.h"

namespace tessera::control {
namespace {

using base::fail;

std::string name_of_plan(PlanId id) {
  return "plan-" + std::to_string(id.value());
}

/// A plan names places by number: each must be one that its GPU's model has, with the profile that
/// the lease has now. Called once the GPUs are known to exist and to be divided on demand.
bool well_formed(const State& state, const Plan& plan) {
  const auto layouts = [&](GpuIndex gpu) -> const catalog::LayoutTable& {
    return state.catalog().model(state.fleet().pool_of(gpu).model).layouts;
  };
  const auto planned = [&](GpuIndex gpu) {
    return std::ranges::binary_search(plan.gpus, gpu, {}, &PlannedGpu::gpu);
  };
  if (!std::ranges::is_sorted(plan.gpus, std::less_equal<>(), &PlannedGpu::gpu)) return false;
  for (const auto& move : plan.moves) {
    if (!planned(move.from) || !planned(move.to) || move.phase != MovePhase::kWaiting) return false;
    if (state.fleet().node(state.fleet().gpu(move.from).node).pool !=
        state.fleet().node(state.fleet().gpu(move.to).node).pool)
      return false;
    const auto& table = layouts(move.to);
    if (move.from_instance >= table.instances().size() ||
        move.to_instance >= table.instances().size() ||
        table.instance(move.from_instance).profile != table.instance(move.to_instance).profile)
      return false;
  }
  const auto exists = [&](const Seat& seat) {
    return planned(seat.gpu) && seat.instance < layouts(seat.gpu).instances().size();
  };
  return std::ranges::all_of(plan.grants, [&](const PlannedGrant& grant) {
    return std::ranges::all_of(grant.seats(), exists);
  });
}

/// Every lease that is stopped is started again, from where it was stopped, and nothing is moved in
/// between or after.
bool restarts_fit(const Plan& plan) {
  std::map<LeaseId, const PlannedMove*> stopped;
  std::set<LeaseId> over;
  for (const auto& move : plan.moves) {
    const auto at = stopped.find(move.lease);
    if (over.contains(move.lease)) return false;
    if (move.kind == MoveKind::kStart) {
      if (at == stopped.end() || at->second->from != move.from ||
          at->second->from_instance != move.from_instance)
        return false;
      stopped.erase(at);
      over.insert(move.lease);
      continue;
    }
    if (at != stopped.end()) return false;
    if (move.kind != MoveKind::kStop) continue;
    if (move.from != move.to || move.from_instance != move.to_instance) return false;
    stopped.emplace(move.lease, &move);
  }
  return stopped.empty();
}

}  // namespace

Decision decide_plan(const State& state, const PutPlan& command, const Actor& actor, Instant now) {
  Plan plan = *command.plan;
  plan.id = state.next_plan();
  plan.author = actor.name;
  plan.made = now;
  plan.state = PlanState::kProposed;
  plan.opens = plan.closes = {};
  plan.cut_short = plan.may_restart = false;
  plan.turns.reset();
  if (auto error = outdated(state, plan)) return std::unexpected(std::move(*error));
  if (!well_formed(state, plan) || !restarts_fit(plan))
    return fail(Reason::kInvalidLayout, "the plan names places that its GPUs do not have", {},
                "compute a new plan");
  for (auto& move : plan.moves)
    if (move.kind != MoveKind::kMove) move.request = state.find(move.lease)->request;
  Events events;
  events.emplace_back(PlanPut{std::move(plan)});
  return events;
}

namespace {

/// Why a plan that waits to be applied cannot be, whenever that is to happen.
std::optional<base::Error> unusable(const State& state, const Plan& plan, bool allow_restarts) {
  const auto restarts = std::ranges::count(plan.moves, MoveKind::kStop, &PlannedMove::kind);
  if (plan.figures.forced_restarts > restarts)
    return base::Error{Reason::kPlanOutdated,
                       name_of_plan(plan.id) + " does not say which leases it has to restart",
                       {},
                       "compute a new plan"};
  if (restarts > 0 && !allow_restarts)
    return base::Error{Reason::kConflict,
                       name_of_plan(plan.id) + " has to restart " + std::to_string(restarts) +
                           " leases, before there is room to move others",
                       {},
                       "agree to that with --allow-restarts, or compute a plan with spare GPUs"};
  return outdated(state, plan);
}

Decision schedule(const State& state, const Plan& plan, const ApplyPlan& command, Instant now) {
  const auto scheduled = std::ranges::count_if(state.plans(), [&](const auto& entry) {
    return entry.first != plan.id && entry.second.state == PlanState::kScheduled;
  });
  if (static_cast<std::size_t>(scheduled) >= kPlansScheduled)
    return fail(Reason::kConflict,
                std::to_string(kPlansScheduled) + " plans are waiting for their windows", {},
                "abort one of them");
  const auto opening = base::next_opening(*command.window, now);
  return Events{PlanScheduled{plan.id, opening.opens, opening.closes, command.allow_restarts}};
}

}  // namespace

Decision decide_plan(const State& state, const ApplyPlan& command, Instant now) {
  const auto* plan = state.find(command.plan);
  if (plan == nullptr) return unknown("plan", name_of_plan(command.plan));
  if (plan->state == PlanState::kApplying) {
    if (!command.window) return Events{};
    return fail(Reason::kWrongState, name_of_plan(plan->id) + " is being applied already", "window",
                "abort it, and schedule a new plan");
  }
  if (ended(plan->state))
    return fail(Reason::kWrongState,
                name_of_plan(plan->id) + " is " + std::string(to_string(plan->state)) +
                    ", only a proposed or scheduled plan can be applied",
                {}, "compute a new plan");
  if (const auto* other = state.applying(); other != nullptr && !command.window)
    return fail(Reason::kConflict, name_of_plan(other->id) + " is being applied", {},
                "wait until it is done, or abort it");
  if (auto error = unusable(state, *plan, command.allow_restarts))
    return std::unexpected(std::move(*error));
  if (command.window) return schedule(state, *plan, command, now);
  return Events{PlanStarted{plan->id, {}, command.allow_restarts}};
}

Decision decide_plan(const State& state, const AbortPlan& command, const Actor& actor) {
  const auto* plan = state.find(command.plan);
  if (plan == nullptr) return unknown("plan", name_of_plan(command.plan));
  if (ended(plan->state)) return Events{};
  return stop_plan(state, *plan, PlanState::kAborted, Reason::kCancelled,
                   "aborted by " + actor.name, false);
}

}  // namespace tessera::control
