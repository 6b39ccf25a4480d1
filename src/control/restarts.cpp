#include "control/restarts.h"

#include <algorithm>

#include "base/check.h"
#include "control/plan_places.h"

namespace tessera::control {
namespace {

using fleet::MigSlice;
using fleet::SlicePhase;

std::string name_of_move(const Plan& plan) {
  return "plan-" + std::to_string(plan.id.value());
}

/// Where the plan has the lease by now.
bool stands_at(const State& state, LeaseId id, const Seat& seat) {
  const auto* lease = state.find(id);
  if (lease == nullptr || !request::promised(*lease) || lease->arriving) return false;
  const auto& at = lease->slices.front();
  return lease->slices.size() == 1 && at.gpu == seat.gpu &&
         at.shape == fleet::SliceShape(MigSlice{seat.instance});
}

/// Does a move before this one still need its place?
bool is_needed_before(const State& state, const Plan& plan, std::size_t index) {
  const auto& start = plan.moves[index];
  const auto conflicts = layouts_of(state, start.to).conflicts(start.to_instance);
  for (std::size_t i = 0; i < index; ++i) {
    const auto& move = plan.moves[i];
    if (!unfinished(move.phase)) continue;
    if (move.to == start.to && (conflicts & catalog::bit(move.to_instance)) != 0) return true;
    if (move.kind != MoveKind::kStart && move.from == start.to &&
        (conflicts & catalog::bit(move.from_instance)) != 0)
      return true;
  }
  return false;
}

/// May the place be had once what is there has been scrubbed?
bool will_be_free(const State& state, const Seat& seat) {
  const auto conflicts = layouts_of(state, seat.gpu).conflicts(seat.instance);
  for (const auto& slice : state.fleet().gpu(seat.gpu).slices) {
    const auto* mig = std::get_if<MigSlice>(&slice.shape);
    if (mig == nullptr) return false;
    if (slice.phase == SlicePhase::kIdle || (conflicts & catalog::bit(mig->instance)) == 0)
      continue;
    if (slice.phase != SlicePhase::kScrubbing) return false;
  }
  return true;
}

/// Restarts one lease after the other, each seeing those before it.
class Restarter {
 public:
  Restarter(State& state, const Plan& plan, Instant now, Events& events)
      : state_(state), plan_(plan), now_(now), events_(events) {}

  void run() {
    for (std::size_t i = 0; i < plan_.moves.size(); ++i) {
      const auto& move = plan_.moves[i];
      if (!homeless(plan_, move)) continue;
      if (plan_.turns || plan_.cut_short)
        settle(i);
      else if (!is_needed_before(state_, plan_, i))
        place(i, {move.to, move.to_instance});
    }
  }

 private:
  void take(Event event) {
    state_.apply(event, now_);
    events_.push_back(std::move(event));
  }

  /// Nothing more begins: the planned place if it can be had, else the old one, else none.
  void settle(std::size_t index) {
    const auto& move = plan_.moves[index];
    const Seat planned{move.to, move.to_instance};
    const Seat old{move.from, move.from_instance};
    const bool failed = move.phase == MovePhase::kGivenUp;
    if (!failed && place(index, planned)) return;
    if (place(index, old)) return;
    const auto hope = [&](const Seat& seat) {
      return !obstacle_on(state_, seat.gpu) && !is_free(state_, seat) && will_be_free(state_, seat);
    };
    if (hope(old) || (!failed && hope(planned))) return;
    // Free and refused only for what the team still holds: that will be given back.
    const auto* before = state_.find(ended_last(move));
    const bool charged = before != nullptr && before->state != request::LeaseState::kEnded;
    if (charged && !obstacle_on(state_, old.gpu) && is_free(state_, old)) return;
    take(RestartLeft{plan_.id, static_cast<std::uint32_t>(index)});
  }

  /// Grants the request this place, if it may have it.
  bool place(std::size_t index, const Seat& seat) {
    const auto& move = plan_.moves[index];
    if (obstacle_on(state_, seat.gpu) || !is_free(state_, seat)) return false;
    const auto& request = *state_.find(move.request);
    const auto* team = state_.find_team(request.team);
    CHECK_MSG(team != nullptr, request.team);
    // What it held is still charged: that is what keeps its quota for it.
    auto use = state_.use_by(request.team);
    const auto* before = state_.find(ended_last(move));
    if (before != nullptr && before->state == request::LeaseState::kEnded)
      use.at(before->pool.value()) -= before->cost;
    const placement::World world{state_.catalog(), state_.fleet(), state_.index(),
                                 state_.tiers(),   *team,          use};
    auto granted = grant_at(state_, request, {&seat, 1}, world, now_);
    if (!granted) return false;
    keep_promise(*granted, before);
    take(RestartPlaced{granted->lease.id, plan_.id, static_cast<std::uint32_t>(index), seat.gpu,
                       seat.instance});
    take(std::move(*granted));
    return true;
  }

  /// It may last as long as the one that was stopped was promised to.
  void keep_promise(LeaseGranted& granted, const request::Lease* before) const {
    if (before == nullptr) return;
    const auto latest = granted.lease.granted + state_.find_tier(granted.lease.tier)->max_duration;
    granted.lease.expires = std::max(granted.lease.expires, std::min(before->expires, latest));
  }

  State& state_;
  const Plan& plan_;
  Instant now_;
  Events& events_;
};

}  // namespace

Events announce_restarts(const State& state, const Plan& plan, Instant now) {
  Events events;
  if (plan.turns || plan.cut_short) return events;
  for (std::size_t i = 0; i < plan.moves.size(); ++i) {
    const auto& move = plan.moves[i];
    if (move.kind != MoveKind::kStop || move.phase != MovePhase::kWaiting) continue;
    const auto* lease = state.find(move.lease);
    const auto* tier = lease == nullptr ? nullptr : state.find_tier(lease->tier);
    if (tier == nullptr) continue;  // an obstacle, which ends the plan
    const auto least = lease->activated + tier->min_runtime;
    if (move.not_before != Instant{} && move.not_before >= least) continue;
    events.push_back(RestartAnnounced{move.lease, plan.id, static_cast<std::uint32_t>(i),
                                      std::max(now + tier->notice, least)});
  }
  return events;
}

Events stop_leases(const State& state, const Plan& plan, Instant now) {
  Events events;
  if (next_stop(plan) > now) return events;
  std::uint32_t under_way = 0;
  for (const auto& move : plan.moves) {
    if (!unfinished(move.phase)) continue;
    if (move.kind != MoveKind::kStop) break;
    if (plan.max_parallel != 0 && under_way >= plan.max_parallel) break;
    ++under_way;
    if (move.phase != MovePhase::kWaiting) continue;
    if (move.not_before > now || !stands_at(state, move.lease, {move.from, move.from_instance}))
      break;
    events.push_back(LeaseEnding{move.lease, Reason::kPreempted,
                                 "restarted by " + name_of_move(plan) + ", to make room", true});
  }
  return events;
}

void place_stopped(State& state, const Plan& plan, Instant now, Events& events) {
  Restarter(state, plan, now, events).run();
}

}  // namespace tessera::control
