#include "gateway/listing.h"

#include <algorithm>
#include <map>

#include "wire/objects.h"
#include "wire/plan_resource.h"

namespace tessera::gateway {
namespace {

using control::State;

bool passes(std::string_view wanted, std::string_view actual) {
  return wanted.empty() || wanted == actual;
}

/// Collects names until the page is full; the one too many tells that there is a next page.
class Pager {
 public:
  explicit Pager(std::size_t limit) : limit_(limit) {}
  /// False when the page is full.
  bool add(std::string name) {
    if (page_.names.size() == limit_) {
      page_.next = page_.names.back();
      return false;
    }
    page_.names.push_back(std::move(name));
    return true;
  }
  Page take() { return std::move(page_); }

 private:
  std::size_t limit_;
  Page page_;
};

bool keep(const State& state, const request::Request& request, const Filter& filter) {
  if (!passes(filter.team, request.team) || !passes(filter.tier, request.tier) ||
      !passes(filter.state, to_string(request.state)))
    return false;
  if (filter.pool.empty() || request.need.pool == filter.pool) return true;
  const auto* lease = request.lease.valid() ? state.find(request.lease) : nullptr;
  return lease != nullptr && state.fleet().pool(lease->pool).name == filter.pool;
}

bool keep(const State&, const control::Plan& plan, const Filter& filter) {
  return passes(filter.state, to_string(plan.state));
}

bool stands_on(const State& state, const request::Lease& lease, const std::string& node) {
  return std::ranges::any_of(request::nodes_of(lease, state.fleet()), [&](const auto index) {
    return state.fleet().node(index).name == node;
  });
}

bool keep(const State& state, const request::Lease& lease, const Filter& filter) {
  return passes(filter.team, lease.team) && passes(filter.tier, lease.tier) &&
         passes(filter.state, to_string(lease.state)) &&
         passes(filter.pool, state.fleet().pool(lease.pool).name) &&
         (filter.node.empty() || stands_on(state, lease, filter.node));
}

bool keep(const State& state, const fleet::Node& node, const Filter& filter) {
  return passes(filter.pool, state.fleet().pool(node.pool).name) &&
         passes(filter.state, to_string(node.phase));
}

/// The same words as the Gpu object's status.state.
std::string_view state_of(const fleet::Node& node, const fleet::Gpu& gpu) {
  if (node.phase != fleet::NodePhase::kReady) return "away";
  if (node.cordoned) return "cordoned";
  return gpu.changing ? "changing" : "ready";
}

bool keep(const State& state, const fleet::Gpu& gpu, const Filter& filter) {
  const auto& node = state.fleet().node(gpu.node);
  if (!passes(filter.node, node.name) || !passes(filter.state, state_of(node, gpu)) ||
      !passes(filter.pool, state.fleet().pool(node.pool).name))
    return false;
  return filter.team.empty() || std::ranges::any_of(gpu.slices, [&](const fleet::Slice& slice) {
           const auto* lease = slice.holder.valid() ? state.find(slice.holder) : nullptr;
           return lease != nullptr && lease->team == filter.team;
         });
}

template <class Id, class Table>
Page by_number(const State& state, const Table& table, const Filter& filter, Id after,
               std::size_t limit) {
  Pager pager(limit);
  for (auto it = table.upper_bound(after); it != table.end(); ++it)
    if (keep(state, it->second, filter) && !pager.add(wire::name_of(it->first))) break;
  return pager.take();
}

template <class Table>
Page by_name(const Table& table, std::string_view after, std::size_t limit) {
  Pager pager(limit);
  for (auto it = table.upper_bound(after); it != table.end(); ++it)
    if (!pager.add(it->first)) break;
  return pager.take();
}

/// Pools or nodes by name, tombstones left out.
template <class Index, class Table>
std::map<std::string_view, Index> sorted(const Table& table) {
  std::map<std::string_view, Index> names;
  for (std::size_t i = 0; i < table.size(); ++i)
    if (!table[i].name.empty()) names.emplace(table[i].name, Index(i));
  return names;
}

Page pools(const State& state, const Filter& filter, std::string_view after, std::size_t limit) {
  Pager pager(limit);
  const auto names = sorted<fleet::PoolIndex>(state.fleet().pools());
  for (auto it = names.upper_bound(after); it != names.end(); ++it) {
    const bool kept = filter.tier.empty() || state.fleet().pool(it->second).carries(filter.tier);
    if (kept && !pager.add(std::string(it->first))) break;
  }
  return pager.take();
}

Page nodes(const State& state, const Filter& filter, std::string_view after, std::size_t limit) {
  Pager pager(limit);
  const auto names = sorted<fleet::NodeIndex>(state.fleet().nodes());
  for (auto it = names.upper_bound(after); it != names.end(); ++it)
    if (keep(state, state.fleet().node(it->second), filter) && !pager.add(std::string(it->first)))
      break;
  return pager.take();
}

/// After the node's name, then the number: "node-1/10" comes after "node-1/9".
Page gpus(const State& state, const Filter& filter, std::string_view after, std::size_t limit) {
  Pager pager(limit);
  const auto& fleet = state.fleet();
  const auto names = sorted<fleet::NodeIndex>(fleet.nodes());
  const auto slash = after.rfind('/');
  const std::string_view after_node = after.substr(0, std::min(slash, after.size()));
  for (auto it = names.lower_bound(after_node); it != names.end(); ++it) {
    bool skipping = !after.empty() && it->first == after_node;
    for (const fleet::GpuIndex index : fleet.node(it->second).gpus) {
      const std::string name = fleet.gpu_name(index);
      if (skipping) {
        skipping = name != after;
        continue;
      }
      if (keep(state, fleet.gpu(index), filter) && !pager.add(name)) return pager.take();
    }
  }
  return pager.take();
}

}  // namespace

bool exists(const State& state, std::string_view kind, std::string_view name) {
  if (kind == "Tier") return state.find_tier(name) != nullptr;
  if (kind == "Team") return state.find_team(name) != nullptr;
  if (kind == "Token") return state.tokens().contains(name);
  if (kind == "Pool") return state.fleet().find_pool(name).has_value();
  if (kind == "Node") return state.fleet().find_node(name).has_value();
  if (kind == "Gpu") return state.fleet().find_gpu(name).has_value();
  if (kind == "Plan") {
    const auto id = wire::plan_id_from(name);
    return id && state.find(*id) != nullptr;
  }
  if (kind == "Request") {
    const auto id = wire::request_id_from(name);
    return id && state.find(*id) != nullptr;
  }
  const auto id = wire::lease_id_from(name);
  return kind == "Lease" && id && state.find(*id) != nullptr;
}

base::Result<Page> page_of(const State& state, std::string_view kind, const Filter& filter,
                           std::string_view after, std::size_t limit) {
  const auto bad = [] {
    return base::fail(base::Reason::kInvalidDocument, "this is no place to continue from",
                      "continue", "pass metadata.continue of the page before, as it was");
  };
  if (kind == "Request") {
    const auto id =
        after.empty() ? std::optional(request::RequestId()) : wire::request_id_from(after);
    if (!id) return bad();
    return by_number(state, state.requests(), filter, *id, limit);
  }
  if (kind == "Lease") {
    const auto id = after.empty() ? std::optional(fleet::LeaseId()) : wire::lease_id_from(after);
    if (!id) return bad();
    return by_number(state, state.leases(), filter, *id, limit);
  }
  if (kind == "Plan") {
    const auto id = after.empty() ? std::optional(control::PlanId()) : wire::plan_id_from(after);
    if (!id) return bad();
    return by_number(state, state.plans(), filter, *id, limit);
  }
  if (kind == "Tier") return by_name(state.tiers(), after, limit);
  if (kind == "Team") return by_name(state.teams(), after, limit);
  if (kind == "Token") return by_name(state.tokens(), after, limit);
  if (kind == "Pool") return pools(state, filter, after, limit);
  if (kind == "Node") return nodes(state, filter, after, limit);
  return gpus(state, filter, after, limit);
}

}  // namespace tessera::gateway
