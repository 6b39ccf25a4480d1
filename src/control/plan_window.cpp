#include "control/plan_window.h"

#include <algorithm>

#include "control/advance_plan.h"

namespace tessera::control {
namespace {

PlanEnded withdrawn(const Plan& plan, Reason reason, std::string message) {
  return {plan.id, PlanState::kAborted, reason, std::move(message)};
}

/// What happens to a plan whose window is open, while no other is being applied.
Event opened(const State& state, const Plan& plan) {
  auto outdated = outdated_parts(state, plan);
  if (!outdated.first) return PlanStarted{plan.id, {}, plan.may_restart};
  const bool any_left = std::ranges::any_of(plan.gpus, [&](const PlannedGpu& planned) {
    return !std::ranges::binary_search(outdated.gpus, planned.gpu);
  });
  if (any_left) return PlanStarted{plan.id, std::move(outdated.gpus), plan.may_restart};
  return withdrawn(plan, Reason::kPlanOutdated,
                   "when its window opened, nothing of it held any more: " + outdated.first->what);
}

/// What is due for one scheduled plan.
std::optional<Event> due(const State& state, const Plan& plan, Instant now) {
  if (plan.state != PlanState::kScheduled) return std::nullopt;
  if (now >= plan.closes)
    return withdrawn(plan, Reason::kWindowClosed, "its window closed before it could start");
  if (now >= plan.opens && state.applying() == nullptr) return opened(state, plan);
  return std::nullopt;
}

}  // namespace

void keep_windows(State& state, Instant now, Events& events) {
  for (const auto& [id, plan] : state.plans()) {
    auto event = due(state, plan, now);
    if (!event) continue;
    const bool starts = std::holds_alternative<PlanStarted>(*event);
    state.apply(*event, now);
    events.push_back(std::move(*event));
    if (starts) advance_plan(state, now, events);
  }
}

std::optional<Instant> next_window(const State& state) {
  std::optional<Instant> next;
  const bool busy = state.applying() != nullptr;
  for (const auto& [id, plan] : state.plans())
    if (plan.state == PlanState::kScheduled)
      next = std::min(next.value_or(Instant::max()), busy ? plan.closes : plan.opens);
  return next;
}

}  // namespace tessera::control
