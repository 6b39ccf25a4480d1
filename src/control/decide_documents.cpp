#include <algorithm>
#include <set>

#include "control/decide.h"

namespace tessera::control {
namespace {

using base::fail;
using request::held_by;

std::unexpected<base::Error> in_use(const std::string& what, const std::string& by,
                                    const std::string& todo) {
  return fail(Reason::kConflict, what + " is in use by " + by, {}, todo);
}

bool holds_anything(const fleet::Fleet& fleet, fleet::NodeIndex node) {
  return std::ranges::any_of(fleet.node(node).gpus, [&](GpuIndex gpu) {
    return !fleet::occupancy_of(fleet.gpu(gpu)).empty();
  });
}

/// Everything a node holds is given up, as if verified free: nobody will ever verify it.
Events give_up(const State& state, fleet::NodeIndex node, Instant now) {
  Events events;
  std::set<LeaseId> leases;
  for (const auto index : state.fleet().node(node).gpus)
    for (const auto& slice : state.fleet().gpu(index).slices)
      if (slice.holder.valid()) leases.insert(slice.holder);
  for (const auto id : leases) {
    const auto& lease = *state.find(id);
    const bool stands = lease.state <= request::LeaseState::kExpiring;
    const auto nodes = request::nodes_of(lease, state.fleet());
    const bool lives_here = std::ranges::find(nodes, node) != nodes.end();
    const std::string gone = "node " + state.fleet().node(node).name + " is gone";
    if (stands && lives_here)
      events.push_back(LeaseEnding{id, Reason::kNodesAway, gone + "; waiting for another", true});
    else if (stands && lease.arriving && state.fleet().gpu(lease.arriving->gpu).node == node)
      events.push_back(LeaseStays{id, gone});
    bool elsewhere = false;
    for (const auto& leased : held_by(lease)) {
      const auto* slice = state.fleet().gpu(leased.gpu).find(leased.generation);
      if (!slice || slice->holder != id) continue;
      if (state.fleet().gpu(leased.gpu).node == node)
        events.push_back(SliceFreed{leased.gpu, leased.generation, false});
      else
        elsewhere = true;
    }
    if (!elsewhere) events.push_back(LeaseEnded{id, now});
  }
  return events;
}

/// The first living request for which `uses` holds.
template <class Uses>
const request::Request* living(const State& state, Uses uses) {
  for (const auto& [id, request] : state.requests())
    if (!request::terminal(request.state) && uses(request)) return &request;
  return nullptr;
}

std::string name_of_request(const request::Request& request) {
  return "req-" + std::to_string(request.id.value());
}

/// Secrets are told apart by their digests: two tokens with one would be found as either.
base::Result<void> check_digest(const State& state, const tenancy::Token& token) {
  const auto* other = state.find_token_by_digest(token.digest);
  if (other == nullptr || other->name == token.name) return {};
  return fail(Reason::kAlreadyExists, "the token \"" + other->name + "\" has the same secret",
              "secret", "make a token with a secret of its own");
}

}  // namespace

Decision decide_put(const State& state, const PutTier& command) {
  if (const auto* known = state.find_tier(command.tier.name); known && *known == command.tier)
    return Events{};
  return Events{TierPut{command.tier}};
}

Decision decide_put(const State& state, const PutTeam& command) {
  for (const auto& [pool, quota] : command.team.quotas)
    if (!state.fleet().find_pool(pool))
      return fail(Reason::kUnknownObject, "there is no pool \"" + pool + "\"",
                  "spec.quotas." + pool, "define the pool first, or correct its name");
  if (const auto* known = state.find_team(command.team.name); known && *known == command.team)
    return Events{};
  return Events{TeamPut{command.team}};
}

Decision decide_put(const State& state, const PutPool& command) {
  const auto& pool = command.pool;
  for (const auto& tier : pool.tiers)
    if (!state.find_tier(tier))
      return fail(Reason::kUnknownObject, "there is no tier \"" + tier + "\"", "spec.tiers",
                  "define the tier first, or correct its name");
  const auto known = state.fleet().find_pool(pool.name);
  if (!known) return Events{PoolPut{pool}};
  const auto& before = state.fleet().pool(*known);
  if (before == pool) return Events{};
  if (before.model != pool.model && !state.fleet().nodes_of(*known).empty())
    return fail(Reason::kConflict,
                "the model of pool " + pool.name + " cannot change: it has nodes", "spec.model",
                "make another pool, or delete its nodes first");
  const bool relaid =
      before.static_layout != pool.static_layout || before.layout_policy != pool.layout_policy;
  if (relaid)
    for (const auto node : state.fleet().nodes_of(*known))
      if (holds_anything(state.fleet(), node))
        return fail(Reason::kConflict,
                    "the layout of pool " + pool.name + " cannot change while node " +
                        state.fleet().node(node).name + " holds leases",
                    "spec.layout", "cordon its nodes and wait until their leases have ended");
  return Events{PoolPut{pool}};
}

Decision decide_put(const State& state, const PutNode& command) {
  const auto pool = state.fleet().find_pool(command.pool);
  if (!pool)
    return fail(Reason::kUnknownObject, "there is no pool \"" + command.pool + "\"", "spec.pool",
                "define the pool first, or correct its name");
  const NodePut put{command.name, command.pool,   command.gpus,
                    command.cpu,  command.memory, command.nvlink};
  const auto known = state.fleet().find_node(command.name);
  if (!known) return Events{put};
  const auto& node = state.fleet().node(*known);
  if (node.pool != *pool)
    return fail(Reason::kConflict, "node " + command.name + " cannot change its pool", "spec.pool",
                "delete the node and declare it anew");
  if (static_cast<std::size_t>(command.gpus) < node.gpus.size())
    return fail(Reason::kConflict,
                "node " + command.name + " has " + std::to_string(node.gpus.size()) +
                    " GPUs, they cannot become fewer",
                "spec.gpus", "delete the node and declare it anew");
  if (static_cast<std::size_t>(command.gpus) == node.gpus.size() && command.cpu == node.cpu &&
      command.memory == node.memory && command.nvlink == node.nvlink)
    return Events{};
  return Events{put};
}

Decision decide_apply(const State& state, const Apply& command, Instant now) {
  State trial = state.clone();
  Events all;
  for (const auto& document : command.documents) {
    auto events = std::visit([&](const auto& one) { return decide_put(trial, one); }, document);
    if (!events) return events;
    for (auto& event : *events) {
      trial.apply(event, now);
      all.push_back(std::move(event));
    }
  }
  return all;
}

Decision decide_delete(const State& state, const DeleteTier& command) {
  if (!state.find_tier(command.name)) return unknown("tier", command.name);
  for (const auto& pool : state.fleet().pools())
    if (pool.carries(command.name))
      return in_use("tier " + command.name, "pool " + pool.name, "take it off the pool first");
  const auto* user = living(state, [&](const auto& r) { return r.tier == command.name; });
  if (user)
    return in_use("tier " + command.name, name_of_request(*user), "wait until it has ended");
  return Events{TierDeleted{command.name}};
}

Decision decide_delete(const State& state, const DeleteTeam& command) {
  if (!state.find_team(command.name)) return unknown("team", command.name);
  const auto* user = living(state, [&](const auto& r) { return r.team == command.name; });
  if (user)
    return in_use("team " + command.name, name_of_request(*user), "cancel its requests first");
  return Events{TeamDeleted{command.name}};
}

Decision decide_delete(const State& state, const DeletePool& command) {
  const auto pool = state.fleet().find_pool(command.name);
  if (!pool) return unknown("pool", command.name);
  if (const auto& nodes = state.fleet().nodes_of(*pool); !nodes.empty())
    return in_use("pool " + command.name, "node " + state.fleet().node(nodes.front()).name,
                  "delete its nodes first");
  for (const auto& [name, team] : state.teams())
    if (team.quota(command.name))
      return in_use("pool " + command.name, "the quota of team " + name, "take it off the team");
  return Events{PoolDeleted{command.name}};
}

Decision decide_delete(const State& state, const DeleteNode& command, Instant now) {
  const auto node = state.fleet().find_node(command.name);
  if (!node) return unknown("node", command.name);
  if (!holds_anything(state.fleet(), *node)) return Events{NodeDeleted{command.name}};
  if (!command.gone)
    return in_use("node " + command.name, "leases",
                  "cordon it and wait until they have ended (`tessera get leases`); if the machine "
                  "will never come back, delete it with --gone");
  auto events = give_up(state, *node, now);
  events.push_back(NodeDeleted{command.name});
  return events;
}

Decision decide_token(const State& state, const PutToken& command) {
  if (state.tokens().contains(command.token.name))
    return fail(Reason::kAlreadyExists, "there is a token named \"" + command.token.name + "\"",
                "name", "choose another name, or delete it first");
  if (auto own = check_digest(state, command.token); !own) return std::unexpected(own.error());
  return Events{TokenPut{command.token}};
}

Decision decide_token(const State& state, const AdmitAgent& command) {
  if (!state.tokens().contains(command.used)) return unknown("token", command.used);
  if (command.agent.name == command.used)
    return fail(Reason::kConflict, "a token to join with bears the name of the agent's key", "name",
                "delete it and make another with a name of its own");
  if (auto own = check_digest(state, command.agent); !own) return std::unexpected(own.error());
  return Events{TokenDeleted{command.used}, TokenPut{command.agent}};
}

Decision decide_token(const State& state, const DeleteToken& command) {
  if (!state.tokens().contains(command.name)) return unknown("token", command.name);
  return Events{TokenDeleted{command.name}};
}

}  // namespace tessera::control
