#include "control/advance_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"

namespace tessera::control {
namespace {

using catalog::Layout;
using fleet::MigSlice;
using fleet::SlicePhase;

/// What is in a plan's way.
struct Obstacle {
  Reason reason{};
  std::string message;
};

/// Why this GPU cannot be changed by a plan.
std::optional<Obstacle> obstacle_on(const State& state, GpuIndex index) {
  const auto& fleet = state.fleet();
  const auto& gpu = fleet.gpu(index);
  if (!gpu.node.valid()) return Obstacle{Reason::kNodesAway, "a node of the plan was deleted"};
  const auto& node = fleet.node(gpu.node);
  if (node.phase != fleet::NodePhase::kReady)
    return Obstacle{Reason::kNodesAway, "node " + node.name + " is away"};
  if (node.cordoned) return Obstacle{Reason::kConflict, "node " + node.name + " is cordoned"};
  if (gpu.health != fleet::Health::kHealthy)
    return Obstacle{Reason::kDeviceFailed,
                    "GPU " + fleet.gpu_name(index) + " is quarantined: " + gpu.health_detail};
  const auto& pool = fleet.pool_of(index);
  if (pool.fixed() || !pool.offers(catalog::Technology::kMig))
    return Obstacle{Reason::kConflict, "pool " + pool.name +
                                           " no longer divides its GPUs on "
                                           "demand"};
  return std::nullopt;
}

/// Why this lease cannot be moved, on top of what its GPUs say.
std::optional<Obstacle> obstacle_of(const State& state, const request::Lease& lease) {
  const auto* tier = state.find_tier(lease.tier);
  if (tier == nullptr || !tier->movable)
    return Obstacle{Reason::kConflict, "leases of tier " + lease.tier + " may not be moved"};
  return std::nullopt;
}

std::optional<Obstacle> obstacle_in(const State& state, const Plan& plan) {
  for (const auto& move : plan.moves) {
    if (move.phase == MovePhase::kGivenUp) return Obstacle{Reason::kDeviceFailed, plan.message};
    if (!unfinished(move.phase)) continue;
    for (const auto gpu : {move.from, move.to})
      if (auto found = obstacle_on(state, gpu)) return found;
    const auto* lease = move.phase == MovePhase::kWaiting ? state.find(move.lease) : nullptr;
    if (lease == nullptr) continue;
    if (auto found = obstacle_of(state, *lease)) return found;
  }
  return std::nullopt;
}

const catalog::LayoutTable& layouts_of(const State& state, GpuIndex gpu) {
  return state.catalog().model(state.fleet().pool_of(gpu).model).layouts;
}

/// Idle instances that have to go where this one is made.
std::vector<Retired> in_the_way(const State& state, GpuIndex index, catalog::InstanceIndex made) {
  const auto& gpu = state.fleet().gpu(index);
  const auto& layouts = layouts_of(state, index);
  const Layout after = fleet::occupancy_of(gpu).held | catalog::bit(made);
  std::vector<Retired> retired;
  for (const auto& slice : gpu.slices) {
    const auto* mig = std::get_if<MigSlice>(&slice.shape);
    if (slice.phase != SlicePhase::kIdle || mig == nullptr || mig->instance == made) continue;
    if ((layouts.addable(after) & catalog::bit(mig->instance)) == 0)
      retired.push_back({index, slice.generation});
  }
  return retired;
}

/// Finds the moves of one plan that can begin now, in order. A move waits for those before it that
/// need the same place or free it, and for earlier ones of its own lease.
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
      if (move.phase == MovePhase::kWaiting && may_begin(move)) {
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
    for (const auto& retired : in_the_way(state_, move.to, move.to_instance))
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

/// GPUs that the plan still holds although none of its moves needs them any more.
std::vector<GpuIndex> finished_gpus(const State& state, const Plan& plan) {
  std::set<GpuIndex> needed;
  for (const auto& move : plan.moves)
    if (unfinished(move.phase)) needed.insert({move.from, move.to});
  std::vector<GpuIndex> finished;
  for (const auto& planned : plan.gpus)
    if (state.fleet().gpu(planned.gpu).changing && !needed.contains(planned.gpu))
      finished.push_back(planned.gpu);
  return finished;
}

bool host_has_room(const fleet::Node& node, const request::Need& need) {
  return (node.cpu.count() == 0 || node.cpu_used + need.cpu <= node.cpu) &&
         (node.memory.count() == 0 || node.memory_used + need.host_memory <= node.memory);
}

/// The planned grant as an event, if the request still waits and may have that place.
std::optional<LeaseGranted> planned_grant(const State& state, const PlannedGrant& planned,
                                          Instant now) {
  const auto* request = state.find(planned.request);
  if (request == nullptr || request->state != request::RequestState::kQueued) return std::nullopt;
  const auto& gpu = state.fleet().gpu(planned.gpu);
  if (!gpu.node.valid() || !state.index().open(planned.gpu)) return std::nullopt;
  const auto occupancy = fleet::occupancy_of(gpu);
  const auto& layouts = layouts_of(state, planned.gpu);
  if (!occupancy.empty() && occupancy.technology != catalog::Technology::kMig) return std::nullopt;
  if ((layouts.addable(occupancy.held) & catalog::bit(planned.instance)) == 0) return std::nullopt;

  const auto* team = state.find_team(request->team);
  CHECK_MSG(team != nullptr, request->team);
  const auto world = world_of(state, *team);
  const auto need = matched_need(*request);
  const auto matched = placement::match(world.for_matching(), need);
  if (!matched || need.slices() != 1 || !host_has_room(state.fleet().node(gpu.node), need))
    return std::nullopt;
  const auto pool = state.fleet().node(gpu.node).pool;
  const auto profile = layouts.instance(planned.instance).profile;
  for (const auto& candidate : matched->candidates) {
    if (candidate.pool != pool || candidate.technology != catalog::Technology::kMig ||
        candidate.profile != profile || !placement::within_limit(world, candidate, 1))
      continue;
    placement::Grant slice{.gpu = planned.gpu, .shape = MigSlice{planned.instance}};
    for (const auto& retired : in_the_way(state, planned.gpu, planned.instance))
      slice.retires.push_back(retired.generation);
    return grant(state, *request,
                 {.tier = matched->tier->name,
                  .pool = pool,
                  .node = gpu.node,
                  .grants = {std::move(slice)},
                  .cost = candidate.cost},
                 now);
  }
  return std::nullopt;
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
  if (!plan.cut_short) return {plan.id, PlanState::kDone, {}, {}};
  const auto done = std::ranges::count(plan.moves, MovePhase::kDone, &PlannedMove::phase);
  return {plan.id, PlanState::kAborted, Reason::kWindowClosed,
          "its window closed with " + std::to_string(done) + " of " +
              std::to_string(plan.moves.size()) + " moves done"};
}

}  // namespace

Events stop_plan(const State& state, const Plan& plan, PlanState as, std::optional<Reason> reason,
                 const std::string& message) {
  Events events;
  for (const auto& move : plan.moves)
    if (move.phase == MovePhase::kPreparing && state.find(move.lease)->arriving)
      events.push_back(LeaseStays{move.lease, message});
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
    return take_all(stop_plan(state, *plan, PlanState::kStopped, Reason::kUnavailable,
                              "nothing has moved for " + base::to_string(kPlanPatience)));
  if (const auto found = obstacle_in(state, *plan))
    return take_all(stop_plan(state, *plan, PlanState::kStopped, found->reason, found->message));
  if (cut_short_at(*plan) <= now) take(PlanCutShort{plan->id});
  take_all(Starter(state, *plan).begin());
  if (auto finished = finished_gpus(state, *plan); !finished.empty()) {
    const std::set<GpuIndex> released(finished.begin(), finished.end());
    take(PlanAdvanced{plan->id, std::move(finished)});
    for (const auto& planned : plan->grants)
      if (released.contains(planned.gpu))
        if (auto granted = planned_grant(state, planned, now)) take(std::move(*granted));
  }
  const bool left = std::ranges::any_of(
      plan->moves, [](const PlannedMove& move) { return unfinished(move.phase); });
  if (!left) take(end_of(*plan));
}

}  // namespace tessera::control
