#include "control/plan_invariants.h"

#include <set>

namespace tessera::control {
namespace {

using Violation = std::optional<std::string>;

Violation check_marks(const State& state, const Plan* plan) {
  std::set<GpuIndex> planned;
  if (plan != nullptr)
    for (const auto& each : plan->gpus) planned.insert(each.gpu);
  for (std::size_t i = 0; i < state.fleet().gpus().size(); ++i) {
    const GpuIndex index(i);
    const auto& gpu = state.fleet().gpu(index);
    if (gpu.node.valid() && gpu.changing && !planned.contains(index))
      return state.fleet().gpu_name(index) + " is held back, and no plan needs it";
    if (gpu.node.valid() && gpu.changing && state.index().open(index))
      return state.fleet().gpu_name(index) + " is being changed, and open to requests";
  }
  if (plan == nullptr) return std::nullopt;
  for (const auto& move : plan->moves)
    if (unfinished(move.phase))
      for (const auto index : {move.from, move.to})
        if (state.fleet().gpu(index).node.valid() && !state.fleet().gpu(index).changing)
          return state.fleet().gpu_name(index) + " was given back before its moves were done";
  return std::nullopt;
}

Violation check_arrivals(const State& state, const Plan* plan) {
  std::set<LeaseId> prepared;
  if (plan != nullptr)
    for (const auto& move : plan->moves)
      if (move.kind == MoveKind::kMove && move.phase == MovePhase::kPreparing &&
          !prepared.insert(move.lease).second)
        return "lease-" + std::to_string(move.lease.value()) + " moves to two places";
  std::size_t arriving = 0;
  for (const auto& [id, lease] : state.leases()) {
    if (!lease.arriving) continue;
    ++arriving;
    if (!prepared.contains(id))
      return "lease-" + std::to_string(id.value()) + " moves, and no plan says so";
    if (lease.state > request::LeaseState::kExpiring)
      return "lease-" + std::to_string(id.value()) + " is over and still moves";
  }
  if (arriving != prepared.size()) return "a move is being prepared for no lease";
  return std::nullopt;
}

/// Whom a plan has stopped, it was allowed to, and it knows where that one's request is.
Violation check_restarts(const State& state, const Plan& plan) {
  for (const auto& move : plan.moves) {
    const auto label = "lease-" + std::to_string(move.lease.value());
    const bool begun = move.phase == MovePhase::kSwitched || move.phase == MovePhase::kDone;
    if (move.kind == MoveKind::kStop && begun && !plan.may_restart)
      return label + " was stopped, and nobody agreed to that";
    if (!homeless(plan, move)) continue;
    const auto* request = state.find(move.request);
    if (request == nullptr || request->state != request::RequestState::kQueued)
      return label + " was stopped, and its request does not wait";
    if (!state.owes(ended_last(move))) return label + " was stopped, and its quota is not kept";
  }
  return std::nullopt;
}

}  // namespace

Violation PlanKeepsItsWord::check(const State& state, const Record& record) {
  const auto* plan = state.applying();
  if (plan == nullptr && record.revision % 16 != 0) return std::nullopt;
  if (auto broken = check_marks(state, plan)) return broken;
  if (plan != nullptr)
    if (auto broken = check_restarts(state, *plan)) return broken;
  return check_arrivals(state, plan);
}

}  // namespace tessera::control
