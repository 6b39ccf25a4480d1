#include "control/plan.h"

#include <algorithm>
#include <array>

#include "base/check.h"

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

std::string_view to_string(MoveKind kind) {
  constexpr std::array<std::string_view, 3> kNames = {"move", "stop", "start"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::vector<Seat> PlannedGrant::seats() const {
  std::vector<Seat> all = {{gpu, instance}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

bool homeless(const Plan& plan, const PlannedMove& move) {
  if (move.kind != MoveKind::kStart) return false;
  if (move.phase != MovePhase::kWaiting) return move.phase == MovePhase::kGivenUp;
  const auto stopped = stop_of(plan, move).phase;
  return stopped == MovePhase::kSwitched || stopped == MovePhase::kDone;
}

const PlannedMove& stop_of(const Plan& plan, const PlannedMove& start) {
  const auto found = std::ranges::find_if(plan.moves, [&](const PlannedMove& move) {
    return move.kind == MoveKind::kStop && move.lease == start.lease;
  });
  CHECK_MSG(found != plan.moves.end(), std::to_string(start.lease.value()));
  return *found;
}

bool owes_restart(const Plan& plan) {
  return std::ranges::any_of(plan.moves, [&](const PlannedMove& move) {
    return homeless(plan, move) ||
           (move.kind == MoveKind::kStart && move.phase == MovePhase::kPreparing);
  });
}

std::vector<LeaseId> owed_by(const Plan& plan) {
  std::vector<LeaseId> owed;
  if (plan.state != PlanState::kApplying) return owed;
  for (const auto& move : plan.moves)
    if (homeless(plan, move)) owed.push_back(ended_last(move));
  return owed;
}

Instant next_stop(const Plan& plan) {
  if (plan.state != PlanState::kApplying || plan.turns) return Instant::max();
  std::uint32_t under_way = 0;
  for (const auto& move : plan.moves) {
    if (!unfinished(move.phase)) continue;
    if (move.kind != MoveKind::kStop) return Instant::max();
    if (move.phase == MovePhase::kWaiting)
      return plan.max_parallel != 0 && under_way >= plan.max_parallel ? Instant::max()
                                                                      : move.not_before;
    ++under_way;
  }
  return Instant::max();
}

Instant cut_short_at(const Plan& plan) {
  const bool waits = plan.state == PlanState::kApplying && plan.closes != Instant{} &&
                     !plan.cut_short && !plan.turns &&
                     std::ranges::any_of(plan.moves, [](const PlannedMove& move) {
                       return move.phase == MovePhase::kWaiting;
                     });
  return waits ? plan.closes : Instant::max();
}

}  // namespace tessera::control
