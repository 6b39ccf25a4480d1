#include <algorithm>

#include "base/check.h"
#include "control/decide.h"

namespace tessera::control {
namespace {

using base::fail;
using request::Lease;
using request::LeaseState;
using request::Need;
using request::Request;
using request::RequestState;

constexpr std::size_t kDuePerTick = 1000;
constexpr int kMostSlices = 64;  ///< on one node
constexpr int kMostNodes = 64;

std::unexpected<base::Error> invalid(std::string what, std::string where, std::string todo) {
  return fail(Reason::kInvalidQuantity, std::move(what), std::move(where), std::move(todo));
}

base::Result<void> check_need(const Need& need) {
  if (need.count < 1 || need.count > kMostSlices)
    return invalid("count must be 1 to " + std::to_string(kMostSlices), "spec.count",
                   "split the request, or ask for several nodes");
  if (need.nodes < 1 || need.nodes > kMostNodes)
    return invalid("nodes must be 1 to " + std::to_string(kMostNodes), "spec.nodes",
                   "split the request");
  if (need.linked() && need.count == 1)
    return invalid("one GPU has nothing to be linked with", "spec.nvlink",
                   "ask for several with count, or leave nvlink out");
  if (need.memory.count() < 0 || need.host_memory.count() < 0 || need.cpu.count() < 0 ||
      need.duration < base::Duration::zero())
    return invalid("a need cannot be negative", "spec", "leave it out for any amount");
  if (need.compute.count() < 0 || need.compute.count() > 1000)
    return invalid("compute must be 0 to 100 percent of a GPU", "spec.compute",
                   "ask for several slices with count");
  if (need.sms.count() < 0 || (need.sms.count() > 0 && need.compute.count() > 0))
    return invalid("state compute in percent or in SMs, not both", "spec.sms", "leave one out");
  return {};
}

std::unexpected<base::Error> not_yours(const Actor& actor, const std::string& team) {
  return fail(Reason::kForbidden, actor.name + " cannot act for team " + team, "spec.team",
              "use a token of that team");
}

base::Duration duration_of(const Need& need, const tenancy::Tier& tier) {
  return need.duration.count() > 0 ? need.duration : tier.default_duration;
}

bool approved_for(const tenancy::Tier& tier, base::Duration duration) {
  return !tier.auto_approval || duration <= tier.auto_approval->duration;
}

/// Is the request small enough to need nobody's approval? What is measured is what was asked for;
/// what is granted is at most kMaxOversize times that.
bool approved_at_once(const tenancy::Tier& tier, const placement::Candidate& least,
                      const Need& need) {
  const auto share = std::max(least.cost.compute, least.cost.memory) * need.slices();
  return approved_for(tier, duration_of(need, tier)) &&
         (!tier.auto_approval || share <= tier.auto_approval->share);
}

/// Grants an approved request, or queues it with the reason. The request may be one that `events`
/// submits, if there is room for one event more.
void place_or_queue(const State& state, const Request& request, const placement::Match& match,
                    const placement::World& world, Instant now, Events& events) {
  auto placed = placement::place(world, match, request.need);
  if (placed)
    events.push_back(grant(state, request, *placed, now));
  else
    events.push_back(RequestMoved{
        request.id, RequestState::kQueued, {}, placed.error().reason, placed.error().message});
}

/// May one more request of the team wait? What it gets at once, it gets in any case.
base::Result<void> check_queue(const State& state, const tenancy::Team& team) {
  if (state.waiting_of(team.name) < team.max_waiting) return {};
  return fail(Reason::kQueueFull,
              std::to_string(state.waiting_of(team.name)) + " requests of team " + team.name +
                  " wait already, and there is nothing free for this one now",
              "spec.team", "cancel some of them, or have the team's maxWaiting raised");
}

/// A list of one, without the copy that an initializer list makes.
Events only(Event event) {
  Events events;
  events.push_back(std::move(event));
  return events;
}

struct OwnLease {
  const Lease* lease = nullptr;
};

base::Result<OwnLease> own_lease(const State& state, LeaseId id, const Actor& actor) {
  const auto* lease = state.find(id);
  if (!lease) return unknown("lease", "lease-" + std::to_string(id.value()));
  if (!actor.may_act_for(lease->team)) return not_yours(actor, lease->team);
  return OwnLease{lease};
}

}  // namespace

placement::World world_of(const State& state, const tenancy::Team& team,
                          placement::NodeRankings* rankings) {
  return {state.catalog(),         state.fleet(), state.index(), state.tiers(), team,
          state.use_by(team.name), rankings};
}

Need matched_need(const Request& request) {
  Need need = request.need;
  need.tier = request.tier;
  return need;
}

LeaseGranted grant(const State& state, const Request& request, const placement::Spot& spot,
                   Instant now) {
  const auto* tier = state.find_tier(spot.tier);
  CHECK_MSG(tier != nullptr, spot.tier);
  LeaseGranted event;
  auto& lease = event.lease;
  lease.id = state.next_lease();
  lease.request = request.id;
  lease.team = request.team;
  lease.tier = spot.tier;
  lease.pool = spot.pool;
  lease.node = spot.node;
  lease.cost = spot.cost;
  lease.cpu = request.need.cpu;
  lease.host_memory = request.need.host_memory;
  lease.granted = now;
  lease.expires = now + duration_of(request.need, *tier);
  lease.slices.reserve(spot.grants.size());
  for (const auto& slice : spot.grants) {
    const auto before = std::ranges::count(lease.slices, slice.gpu, &request::LeasedSlice::gpu);
    const auto generation = state.fleet().gpu(slice.gpu).generation + 1;
    lease.slices.push_back(
        {slice.gpu, generation + static_cast<std::uint64_t>(before), slice.shape});
    for (const auto retired : slice.retires) {
      const bool known = std::ranges::any_of(event.retired, [&](const Retired& other) {
        return other.gpu == slice.gpu && other.generation == retired;
      });
      if (!known) event.retired.push_back({slice.gpu, retired});
    }
  }
  return event;
}

Decision decide_submit(const State& state, const Submit& command, const Actor& actor, Instant now,
                       placement::NodeRankings* rankings) {
  const auto* team = state.find_team(command.team);
  if (!team) return unknown("team", command.team);
  if (!actor.may_act_for(command.team)) return not_yours(actor, command.team);
  if (const auto valid = check_need(command.need); !valid) return std::unexpected(valid.error());
  if (const auto* before = state.find_by_key(actor.name, command.idempotency_key)) {
    if (before->need == command.need && before->team == command.team) return Events{};
    return fail(Reason::kConflict, "this Idempotency-Key was used for another request",
                "Idempotency-Key", "use a fresh key for a new request");
  }
  const auto world = world_of(state, *team, rankings);
  const auto matched = placement::match(world.for_matching(), command.need);
  if (!matched) return std::unexpected(matched.error());

  Events events;
  events.reserve(2);
  auto& request = events.emplace_back().emplace<RequestSubmitted>().request;
  request.id = state.next_request();
  request.team = command.team;
  request.purpose = command.purpose;
  request.submitted_by = actor.name;
  request.need = command.need;
  request.submitted = now;
  request.state = RequestState::kApproved;
  request.tier = matched->tier->name;
  request.idempotency_key = command.idempotency_key;
  if (!approved_at_once(*matched->tier, matched->candidates.front(), command.need)) {
    request.state = RequestState::kPendingApproval;
    request.reason = Reason::kAwaitingApproval;
    if (const auto allowed = check_queue(state, *team); !allowed)
      return std::unexpected(allowed.error());
    request.message =
        "larger or longer than tier " + request.tier + " approves by itself: an operator decides";
    return events;
  }
  place_or_queue(state, request, *matched, world, now, events);
  if (std::holds_alternative<RequestMoved>(events.back()))
    if (const auto allowed = check_queue(state, *team); !allowed)
      return std::unexpected(allowed.error());
  return events;
}

Decision decide_approve(const State& state, const Approve& command, Instant now,
                        placement::NodeRankings* rankings) {
  const auto* request = state.find(command.request);
  if (!request) return unknown("request", "req-" + std::to_string(command.request.value()));
  if (request->state != RequestState::kPendingApproval)
    return fail(Reason::kWrongState, "the request is " + std::string(to_string(request->state)) +
                                         ", only pending-approval can be approved");
  const auto* team = state.find_team(request->team);
  CHECK_MSG(team != nullptr, request->team);
  const auto world = world_of(state, *team, rankings);
  const auto matched = placement::match(world.for_matching(), matched_need(*request));
  if (!matched) return std::unexpected(matched.error());
  Events events{RequestMoved{request->id, RequestState::kApproved, {}, {}, {}}};
  place_or_queue(state, *request, *matched, world, now, events);
  return events;
}

Decision decide_reject(const State& state, const Reject& command) {
  const auto* request = state.find(command.request);
  if (!request) return unknown("request", "req-" + std::to_string(command.request.value()));
  if (request->state != RequestState::kPendingApproval)
    return fail(Reason::kWrongState,
                "the request is " + std::string(to_string(request->state)) +
                    ", only pending-approval can be rejected",
                {}, "cancel it instead");
  return Events{
      RequestMoved{request->id, RequestState::kRejected, {}, Reason::kForbidden, command.message}};
}

Decision decide_cancel(const State& state, const Cancel& command, const Actor& actor) {
  const auto* request = state.find(command.request);
  if (!request) return unknown("request", "req-" + std::to_string(command.request.value()));
  if (!actor.may_act_for(request->team)) return not_yours(actor, request->team);
  // Cancelling what is over, or already being scrubbed, changes nothing.
  if (request::terminal(request->state) || request->state == RequestState::kReleasing)
    return Events{};
  if (request::holding(request->state))
    return only(LeaseEnding{request->lease, Reason::kCancelled, "cancelled by " + actor.name});
  return only(RequestMoved{
      request->id, RequestState::kCancelled, {}, Reason::kCancelled, "cancelled by " + actor.name});
}

Decision decide_renew(const State& state, const Renew& command, const Actor& actor, Instant now) {
  const auto own = own_lease(state, command.lease, actor);
  if (!own) return std::unexpected(own.error());
  const auto& lease = *own->lease;
  if (lease.state != LeaseState::kActive && lease.state != LeaseState::kExpiring)
    return fail(Reason::kWrongState,
                "the lease is " + std::string(to_string(lease.state)) +
                    ", only active and expiring leases can be renewed",
                {}, "submit a new request");
  if (command.extra <= base::Duration::zero())
    return invalid("a renewal must be longer than nothing", "extra", "write it as 4h");
  const auto* tier = state.find_tier(lease.tier);
  CHECK_MSG(tier != nullptr, lease.tier);
  const auto latest = now + tier->max_duration;
  const auto expires = std::min(lease.expires + command.extra, latest);
  if (expires <= lease.expires)
    return fail(Reason::kAboveLimit,
                "tier " + tier->name + " lends for at most " + base::to_string(tier->max_duration) +
                    " from now, and the lease runs until " + base::to_string(lease.expires),
                "extra", "renew later");
  if (!actor.at_least(tenancy::Role::kOperator) && !approved_for(*tier, expires - lease.granted))
    return fail(Reason::kForbidden,
                "to hold a slice for so long takes an operator's approval: tier " + tier->name +
                    " approves " + base::to_string(tier->auto_approval->duration) + " by itself",
                "extra", "ask an operator to renew it");
  return Events{LeaseRenewed{lease.id, expires}};
}

Decision decide_release(const State& state, const Release& command, const Actor& actor) {
  const auto own = own_lease(state, command.lease, actor);
  if (!own) return std::unexpected(own.error());
  if (!promised(*own->lease)) return Events{};
  return only(LeaseEnding{own->lease->id, Reason::kReleased, "released by " + actor.name});
}

Decision decide_tick(const State& state, Instant now) {
  Events events;
  for (const auto id : state.due_leases(now, kDuePerTick)) {
    const auto& lease = *state.find(id);
    if (now >= lease.expires)
      events.push_back(LeaseEnding{id, Reason::kExpired, "its time was up"});
    else if (lease.state == LeaseState::kActive)
      events.push_back(LeaseExpiring{id});
  }
  for (const auto id : state.due_requests(now, kDuePerTick))
    events.push_back(RequestForgotten{id, state.find(id)->lease});
  return events;
}

}  // namespace tessera::control
