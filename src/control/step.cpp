#include "control/step.h"

#include <algorithm>
#include <expected>
#include <set>

#include "base/check.h"
#include "control/advance_plan.h"
#include "control/decide.h"
#include "control/plan_window.h"

namespace tessera::control {
namespace {

/// Can this event make a waiting request fit that did not fit before?
struct MakesRoom {
  bool operator()(const TierPut&) const { return true; }
  bool operator()(const TeamPut&) const { return true; }
  bool operator()(const PoolPut&) const { return true; }
  bool operator()(const NodePut&) const { return true; }
  bool operator()(const NodeCordoned& event) const { return !event.cordoned; }
  bool operator()(const NodeReady&) const { return true; }
  bool operator()(const GpuHealthChanged& event) const {
    return event.health == fleet::Health::kHealthy;
  }
  bool operator()(const SliceFreed&) const { return true; }
  bool operator()(const LeaseEnding& event) const { return event.requeue; }
  bool operator()(const LeaseEnded&) const { return true; }
  // Its quota may have been kept for it by a plan.
  bool operator()(const RequestMoved& event) const { return request::terminal(event.state); }
  bool operator()(const RestartLeft&) const { return true; }
  bool operator()(const PlanAdvanced&) const { return true; }
  bool operator()(const PlanEnded&) const { return true; }
  bool operator()(const auto&) const { return false; }
};

/// Can it end all hope of a waiting request?
struct TakesHope {
  bool operator()(const TierDeleted&) const { return true; }
  bool operator()(const PoolDeleted&) const { return true; }
  bool operator()(const NodeDeleted&) const { return true; }
  bool operator()(const auto&) const { return false; }
};

/// Why a request waits.
struct Wait {
  Reason reason{};
  std::string message;
  bool hopeless = false;  ///< nothing that is declared here could hold it, even if all were free
};

/// Can this event make a plan go on, or stand in its way?
struct ConcernsPlan {
  bool operator()(const TierPut&) const { return true; }
  bool operator()(const TierDeleted&) const { return true; }
  bool operator()(const PoolPut&) const { return true; }
  bool operator()(const NodeCordoned&) const { return true; }
  bool operator()(const NodeLost&) const { return true; }
  bool operator()(const NodeDeleted&) const { return true; }
  bool operator()(const GpuHealthChanged&) const { return true; }
  bool operator()(const SliceFreed&) const { return true; }
  bool operator()(const LeaseEnding&) const { return true; }
  bool operator()(const LeaseEnded&) const { return true; }
  bool operator()(const LeaseActivated&) const { return true; }
  bool operator()(const RequestMoved&) const { return true; }
  bool operator()(const LeaseMoved&) const { return true; }
  bool operator()(const LeaseStays&) const { return true; }
  bool operator()(const PlanTurnedBack&) const { return true; }
  bool operator()(const PlanStarted&) const { return true; }
  bool operator()(const auto&) const { return false; }
};

/// The plan that is being applied goes on where the step concerns it, or its time is up. Then it
/// may be another's turn.
void go_on(State& state, Instant now, Events& events) {
  if (const auto* plan = state.applying()) {
    const bool concerned = std::ranges::any_of(
        events, [](const Event& event) { return std::visit(ConcernsPlan{}, event); });
    if (concerned || now >= plan->progressed + kPlanPatience || now >= cut_short_at(*plan) ||
        now >= next_stop(*plan))
      advance_plan(state, now, events);
  }
  keep_windows(state, now, events);
}

/// Where the waiting request would go now.
std::expected<LeaseGranted, Wait> try_grant(State& state, const request::Request& request,
                                            Instant now) {
  const auto* team = state.find_team(request.team);
  CHECK_MSG(team != nullptr, request.team);
  const auto world = world_of(state, *team, &state.rankings());
  const auto need = matched_need(request);
  const auto matched = placement::match(world.for_matching(), need);
  if (!matched)
    return std::unexpected(Wait{matched.error().reason,
                                base::to_string(matched.error()) + "; it keeps its place", true});
  auto placed = placement::place(world, *matched, need);
  if (!placed)
    return std::unexpected(Wait{placed.error().reason, std::move(placed.error().message)});
  return grant(state, request, *placed, now);
}

/// Does the request say of itself that nothing here could hold it?
bool says_hopeless(const request::Request& request) {
  return request.reason && placement::refuses_for_good(*request.reason);
}

/// Tells a line whose head could not be granted why it waits, if that has become something else
/// than a matter of time, or is one again. Other changes of the reason are told when asked
/// (explain): they come and go with every lease.
void tell_why(State& state, const request::Request& head, const Wait& wait, Instant now,
              std::vector<Event>& events) {
  std::vector<RequestMoved> moves;
  for (const auto id : state.waiting().line_of(head)) {
    const auto& request = *state.find(id);
    const bool told = wait.hopeless
                          ? request.reason == wait.reason && request.message == wait.message
                          : !says_hopeless(request);
    if (!told) moves.push_back({id, request::RequestState::kQueued, {}, wait.reason, wait.message});
  }
  for (auto& move : moves) {
    state.apply(move, now);
    events.emplace_back(std::move(move));
  }
}

/// Tries the head of every line of the queue, oldest first. A line whose head does not fit is done
/// with: room only becomes less while granting. Only a request that a plan kept its team's quota
/// for may take less than was kept; then all are tried again.
void grant_waiting(State& state, Instant now, std::vector<Event>& events) {
  const auto heads = state.waiting().heads();
  std::set<RequestId> queue(heads.begin(), heads.end());
  while (!queue.empty()) {
    const auto& request = *state.find(*queue.begin());
    queue.erase(queue.begin());
    auto granted = try_grant(state, request, now);
    if (!granted) {
      tell_why(state, request, granted.error(), now, events);
      continue;
    }
    const bool kept = state.owes(request.lease);
    state.apply(*granted, now);
    events.push_back(std::move(*granted));
    if (kept)
      for (const auto head : state.waiting().heads()) queue.insert(head);
    if (const auto next = state.waiting().head_of(request)) queue.insert(*next);
  }
}

}  // namespace

base::Result<Record> step(State& state, const Command& command, const tenancy::Actor& actor,
                          Instant clock) {
  // A clock that was set back stands still until it has caught up: leases cannot end before they
  // began, and intervals of use are never negative.
  const Instant now = std::max(clock, state.last_change());
  auto decided = decide(state, command, actor, now, &state.rankings());
  if (!decided) return std::unexpected(decided.error());
  if (const auto* report = std::get_if<Report>(&command))
    state.report_order().note(report->report, state.next_incarnation());
  Record record{state.revision(), now, actor, std::move(*decided)};
  for (const auto& event : record.events) state.apply(event, now);
  go_on(state, now, record.events);
  if (record.events.empty()) return record;
  const bool look = std::ranges::any_of(record.events, [](const Event& event) {  // at the queue
    return std::visit(MakesRoom{}, event) || std::visit(TakesHope{}, event);
  });
  if (look) grant_waiting(state, now, record.events);
  record.revision = state.revision() + 1;
  record.incarnation = state.next_incarnation();
  state.commit(record);
  return record;
}

}  // namespace tessera::control
