#include "wire/objects.h"

#include <charconv>
#include <map>

#include "tenancy/price.h"
#include "wire/document.h"
#include "wire/plan_resource.h"
#include "wire/slice_json.h"
#include "wire/spec.h"

namespace tessera::wire {
namespace {

Json cost_json(const fleet::Cost& cost) {
  return {{"compute", base::to_string(cost.compute)}, {"memory", base::to_string(cost.memory)}};
}

/// Null for the epoch, which stands for "not yet".
Json reason_json(const std::optional<base::Reason>& reason) {
  return reason ? Json(to_string(*reason)) : Json(nullptr);
}

/// What a lease is charged per hour; null once its tier is gone.
Json price_json(const control::State& state, const fleet::Cost& cost, std::string_view tier_name) {
  const auto* tier = state.find_tier(tier_name);
  if (tier == nullptr) return nullptr;
  return tenancy::money_text(tenancy::price_per_hour(cost, *tier));
}

/// The slices of a lease. Of one that ended the GPU may have left the fleet since.
/// How far a leased slice has come. One that is only promised (a dry run) is shown as it would be
/// right after the grant; one that is gone has nothing to show.
Json progress_json(const fleet::Gpu& gpu, const request::LeasedSlice& leased,
                   request::LeaseState state) {
  if (const auto* slice = gpu.find(leased.generation))
    return {{"device", text_or_null(slice->device)}, {"phase", to_string(slice->phase)}};
  if (state != request::LeaseState::kProvisioning) return {{"device", nullptr}, {"phase", nullptr}};
  const auto* idle = gpu.find_idle(leased.shape);
  return {{"device", idle != nullptr ? text_or_null(idle->device) : Json(nullptr)},
          {"phase", to_string(fleet::SlicePhase::kPreparing)}};
}

Json leased_slices(const control::State& state, const request::Lease& lease) {
  Json list = Json::array();
  const auto& fleet = state.fleet();
  for (const auto& leased : lease.slices) {
    const auto& gpu = fleet.gpu(leased.gpu);
    if (!gpu.node.valid()) continue;
    const auto& pool = fleet.pool_of(leased.gpu);
    if (!pool.model.valid()) continue;
    Json slice = slice_json(leased.shape, state.catalog().model(pool.model));
    slice["gpu"] = fleet.gpu_name(leased.gpu);
    slice["node"] = fleet.node(gpu.node).name;
    slice.update(progress_json(gpu, leased, lease.state));
    list.push_back(std::move(slice));
  }
  return list;
}

/// The notice of a move: its processes will have to start again on another GPU.
Json moving_json(const control::State& state, const request::Lease& lease) {
  if (!lease.arriving || !state.fleet().gpu(lease.arriving->gpu).node.valid()) return nullptr;
  return {{"gpu", state.fleet().gpu_name(lease.arriving->gpu)},
          {"message",
           "its slice is being made on another GPU; once it is ready the lease changes "
           "over, and what runs on the old one is ended"}};
}

/// The notice of a restart: a plan will stop it, and grant its request another slice.
Json restart_json(const control::State& state, const request::Lease& lease) {
  const auto* plan = state.applying();
  if (plan == nullptr || !plan->may_restart) return nullptr;
  const auto stop = std::ranges::find_if(plan->moves, [&](const control::PlannedMove& move) {
    return move.lease == lease.id && move.kind == control::MoveKind::kStop;
  });
  if (stop == plan->moves.end() || stop->phase != control::MovePhase::kWaiting ||
      stop->not_before == base::Instant{})
    return nullptr;
  return {{"plan", "plan-" + std::to_string(plan->id.value())},
          {"notBefore", instant_json(stop->not_before)},
          {"message",
           "a plan will end this lease to make room, and grant its request another slice; what "
           "runs on it is ended"}};
}

/// What the last move did.
Json moved_json(const request::Lease& lease) {
  if (!lease.moved) return nullptr;
  return {{"at", instant_json(lease.moved->at)},
          {"deviceBefore", text_or_null(lease.moved->before)},
          {"deviceAfter", text_or_null(lease.moved->after)}};
}

struct Counts {
  int requests = 0;  ///< not ended
  int leases = 0;    ///< not ended
};
using CountsByTeam = std::map<std::string_view, Counts>;

CountsByTeam counts_by_team(const control::State& state) {
  CountsByTeam counts;
  for (const auto& [id, request] : state.requests())
    if (!terminal(request.state)) ++counts[request.team].requests;
  for (const auto& [id, lease] : state.leases())
    if (lease.state != request::LeaseState::kEnded) ++counts[lease.team].leases;
  return counts;
}

Json team_with(const control::State& state, const tenancy::Team& team,
               const CountsByTeam& all_counts) {
  Json usage = Json::object();
  const auto& pools = state.fleet().pools();
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (pools[i].name.empty()) continue;
    const auto used = state.usage(team.name, fleet::PoolIndex(i));
    if (used != fleet::Cost{} || team.quota(pools[i].name) != nullptr)
      usage[pools[i].name] = cost_json(used);
  }
  const auto found = all_counts.find(team.name);
  const Counts counts = found == all_counts.end() ? Counts{} : found->second;
  return envelope("Team", team.name, spec_of(team),
                  {{"usage", usage}, {"requests", counts.requests}, {"leases", counts.leases}});
}

std::vector<Json> all_gpus(const control::State& state) {
  std::vector<Json> objects;
  // By node name, then number: the order in which people look for them.
  std::map<std::string_view, fleet::NodeIndex> nodes;
  for (std::size_t i = 0; i < state.fleet().nodes().size(); ++i)
    if (const auto& node = state.fleet().nodes()[i]; !node.name.empty())
      nodes.emplace(node.name, fleet::NodeIndex(i));
  for (const auto& [name, index] : nodes)
    for (const fleet::GpuIndex gpu : state.fleet().node(index).gpus)
      objects.push_back(gpu_object(state, gpu));
  return objects;
}

/// Pools or nodes by name, without the tombstones.
template <class Index, class Table>
std::map<std::string_view, Index> by_name(const Table& table) {
  std::map<std::string_view, Index> sorted;
  for (std::size_t i = 0; i < table.size(); ++i)
    if (!table[i].name.empty()) sorted.emplace(table[i].name, Index(i));
  return sorted;
}

std::optional<std::uint64_t> serial_from(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  std::uint64_t number = 0;
  const auto [next, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool canonical = !name.empty() && name.front() != '0';
  if (error != std::errc{} || next != name.data() + name.size() || !canonical) return std::nullopt;
  return number;
}

}  // namespace

Json tier_object(const control::State& state, const tenancy::Tier& tier) {
  Json pools = Json::array();
  for (const auto& [name, index] : by_name<fleet::PoolIndex>(state.fleet().pools()))
    if (state.fleet().pool(index).carries(tier.name)) pools.push_back(name);
  return envelope("Tier", tier.name, spec_of(tier), {{"pools", std::move(pools)}});
}

Json team_object(const control::State& state, const tenancy::Team& team) {
  return team_with(state, team, counts_by_team(state));
}

Json pool_object(const control::State& state, fleet::PoolIndex index) {
  const auto& pool = state.fleet().pool(index);
  std::size_t gpus = 0, ready = 0;
  const auto& nodes = state.fleet().nodes_of(index);
  for (const fleet::NodeIndex node_index : nodes) {
    const auto& node = state.fleet().node(node_index);
    gpus += node.gpus.size();
    for (const fleet::GpuIndex gpu : node.gpus)
      if (node.open() && state.fleet().gpu(gpu).health == fleet::Health::kHealthy) ++ready;
  }
  return envelope("Pool", pool.name, spec_of(pool, state.catalog()),
                  {{"nodes", nodes.size()}, {"gpus", gpus}, {"ready", ready}});
}

Json node_object(const control::State& state, fleet::NodeIndex index) {
  const auto& node = state.fleet().node(index);
  const control::PutNode declared{.name = node.name,
                                  .pool = state.fleet().pool(node.pool).name,
                                  .gpus = static_cast<int>(node.gpus.size()),
                                  .cpu = node.cpu,
                                  .memory = node.memory,
                                  .nvlink = node.nvlink};
  return envelope("Node", node.name, spec_of(declared),
                  {{"phase", to_string(node.phase)},
                   {"cordoned", node.cordoned},
                   {"gpus", node.gpus.size()},
                   {"cpuUsed", base::to_string(node.cpu_used)},
                   {"memoryUsed", base::to_string(node.memory_used)}});
}

Json token_object(const tenancy::Token& token) {
  return envelope("Token", token.name,
                  {{"role", to_string(token.role)},
                   {"subject", token.subject},
                   {"expiresAt", token.expires ? instant_json(*token.expires) : Json(nullptr)}},
                  Json::object());
}

RequestView view_of(const control::State& state, const request::Request& request) {
  const bool waits = request.state == request::RequestState::kQueued;
  return {.request = request,
          .lease = request.lease.valid() ? state.find(request.lease) : nullptr,
          .position = waits ? state.waiting().position(request) : 0};
}

Json request_object(const control::State& state, const RequestView& view) {
  const auto& request = view.request;
  const auto* lease = view.lease;
  Json status = {
      {"state", to_string(request.state)},
      {"tier", text_or_null(request.tier)},
      {"lease", text_or_null(name_of(request.lease))},
      {"reason", reason_json(request.reason)},
      {"message", request.message},
      {"position", view.position},
      {"slices", lease != nullptr ? leased_slices(state, *lease) : Json::array()},
      {"pricePerHour", lease != nullptr ? price_json(state, lease->cost, lease->tier) : Json()},
      {"expiresAt", lease != nullptr ? instant_json(lease->expires) : Json()},
      {"hints", view.hints}};
  Json object =
      envelope("Request", name_of(request.id),
               request_spec(request.team, request.purpose, request.need), std::move(status));
  object["metadata"]["team"] = request.team;
  object["metadata"]["createdAt"] = base::to_string(request.submitted);
  object["metadata"]["createdBy"] = request.submitted_by;
  return object;
}

/// In base units. How busy: of the time that was measured; null before.
Json use_json(const fleet::Use& use) {
  const auto seconds = static_cast<double>(use.measured.count()) / 1e3;
  const auto busy = static_cast<double>(use.busy.count()) / 1e6;
  return {{"measuredSeconds", seconds},
          {"busySeconds", busy},
          {"busyRatio", use.measured.count() == 0 ? Json(nullptr) : Json(busy / seconds)},
          {"memoryMibSeconds", static_cast<double>(use.memory.count()) / 1e3},
          {"energyJoules", static_cast<double>(use.energy.count()) / 1e6}};
}

Json lease_object(const control::State& state, const request::Lease& lease) {
  const auto& pool = state.fleet().pool(lease.pool);
  const auto& node = state.fleet().node(lease.node);
  Json nodes = Json::array();
  for (const auto on : request::nodes_of(lease, state.fleet()))
    nodes.push_back(state.fleet().node(on).name);
  Json status = {{"state", to_string(lease.state)},
                 {"pool", text_or_null(pool.name)},
                 {"node", text_or_null(node.name)},
                 {"nodes", std::move(nodes)},
                 {"slices", leased_slices(state, lease)},
                 {"cost", cost_json(lease.cost)},
                 {"grantedAt", instant_json(lease.granted)},
                 {"activatedAt", instant_json(lease.activated)},
                 {"expiresAt", instant_json(lease.expires)},
                 {"endedAt", instant_json(lease.ended)},
                 {"endReason", reason_json(lease.end_reason)},
                 {"movingTo", moving_json(state, lease)},
                 {"restart", restart_json(state, lease)},
                 {"moved", moved_json(lease)},
                 {"pricePerHour", price_json(state, lease.cost, lease.tier)},
                 {"use", use_json(lease.use)}};
  Json object =
      envelope("Lease", name_of(lease.id),
               {{"team", lease.team}, {"request", name_of(lease.request)}, {"tier", lease.tier}},
               std::move(status));
  object["metadata"]["team"] = lease.team;
  object["metadata"]["createdAt"] = base::to_string(lease.granted);
  return object;
}

std::optional<Json> find_object(const control::State& state, std::string_view kind,
                                std::string_view name) {
  const auto& fleet = state.fleet();
  if (kind == "Tier") {
    if (const auto* tier = state.find_tier(name)) return tier_object(state, *tier);
  } else if (kind == "Team") {
    if (const auto* team = state.find_team(name)) return team_object(state, *team);
  } else if (kind == "Pool") {
    if (const auto pool = fleet.find_pool(name)) return pool_object(state, *pool);
  } else if (kind == "Node") {
    if (const auto node = fleet.find_node(name)) return node_object(state, *node);
  } else if (kind == "Gpu") {
    if (const auto gpu = fleet.find_gpu(name)) return gpu_object(state, *gpu);
  } else if (kind == "Request") {
    const auto id = request_id_from(name);
    if (const auto* request = id ? state.find(*id) : nullptr)
      return request_object(state, view_of(state, *request));
  } else if (kind == "Lease") {
    const auto id = lease_id_from(name);
    if (const auto* lease = id ? state.find(*id) : nullptr) return lease_object(state, *lease);
  } else if (kind == "Plan") {
    const auto id = plan_id_from(name);
    if (const auto* plan = id ? state.find(*id) : nullptr) return plan_resource(state, *plan);
  } else if (kind == "Token") {
    const auto token = state.tokens().find(name);
    if (token != state.tokens().end()) return token_object(token->second);
  }
  return std::nullopt;
}

std::vector<Json> all_objects(const control::State& state, std::string_view kind) {
  std::vector<Json> objects;
  if (kind == "Tier") {
    for (const auto& [name, tier] : state.tiers()) objects.push_back(tier_object(state, tier));
  } else if (kind == "Team") {
    const CountsByTeam counts = counts_by_team(state);
    for (const auto& [name, team] : state.teams())
      objects.push_back(team_with(state, team, counts));
  } else if (kind == "Pool") {
    for (const auto& [name, index] : by_name<fleet::PoolIndex>(state.fleet().pools()))
      objects.push_back(pool_object(state, index));
  } else if (kind == "Node") {
    for (const auto& [name, index] : by_name<fleet::NodeIndex>(state.fleet().nodes()))
      objects.push_back(node_object(state, index));
  } else if (kind == "Gpu") {
    objects = all_gpus(state);
  } else if (kind == "Request") {
    for (const auto& [id, request] : state.requests())
      objects.push_back(request_object(state, view_of(state, request)));
  } else if (kind == "Lease") {
    for (const auto& [id, lease] : state.leases()) objects.push_back(lease_object(state, lease));
  } else if (kind == "Plan") {
    for (const auto& [id, plan] : state.plans()) objects.push_back(plan_resource(state, plan));
  } else if (kind == "Token") {
    for (const auto& [name, token] : state.tokens()) objects.push_back(token_object(token));
  }
  return objects;
}

Json list_of(std::string_view kind, std::uint64_t revision, std::vector<Json> items,
             std::string_view continue_token) {
  Json metadata = {{"revision", revision}};
  if (!continue_token.empty()) metadata["continue"] = continue_token;
  return {{"apiVersion", kApiVersion},
          {"kind", std::string(kind) + "List"},
          {"metadata", std::move(metadata)},
          {"items", std::move(items)}};
}

std::string_view change_of(const Change& change) {
  if (change.before.is_null()) return "created";
  if (change.after.is_null()) return "deleted";
  return change.before["spec"] == change.after["spec"] ? "unchanged" : "changed";
}

Json apply_result(const std::vector<Change>& changes) {
  Json items = Json::array();
  for (const Change& change : changes)
    items.push_back({{"kind", change.kind},
                     {"name", change.name},
                     {"change", change_of(change)},
                     {"before", change.before},
                     {"after", change.after}});
  return {{"apiVersion", kApiVersion}, {"kind", "ApplyResult"}, {"items", std::move(items)}};
}

std::string name_of(request::RequestId id) {
  return id.valid() ? "req-" + std::to_string(id.value()) : std::string();
}
std::string name_of(fleet::LeaseId id) {
  return id.valid() ? "lease-" + std::to_string(id.value()) : std::string();
}
std::optional<request::RequestId> request_id_from(std::string_view name) {
  const auto number = serial_from(name, "req-");
  return number ? std::optional(request::RequestId(*number)) : std::nullopt;
}
std::optional<fleet::LeaseId> lease_id_from(std::string_view name) {
  const auto number = serial_from(name, "lease-");
  return number ? std::optional(fleet::LeaseId(*number)) : std::nullopt;
}

}  // namespace tessera::wire
