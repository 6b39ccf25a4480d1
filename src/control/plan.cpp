#include "control/plan.h"

#include <algorithm>
#include <array>

namespace tessera::control {

std::string_view to_string(PlanState state) {
  constexpr std::array<std::string_view, 6> kNames = {"proposed", "applying", "done",
                                                      "stopped",  "aborted",  "scheduled"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view to_string(MovePhase phase) {
  constexpr std::array<std::string_view, 6> kNames = {"waiting", "preparing", "switched",
                                                      "done",    "skipped",   "given-up"};
  return kNames[static_cast<std::size_t>(phase)];
}

Instant cut_short_at(const Plan& plan) {
  const bool waits = plan.state == PlanState::kApplying && plan.closes != Instant{} &&
                     std::ranges::any_of(plan.moves, [](const PlannedMove& move) {
                       return move.phase == MovePhase::kWaiting;
                     });
  return waits ? plan.closes : Instant::max();
}

}  // namespace tessera::control
