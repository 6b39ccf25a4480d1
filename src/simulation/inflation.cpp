#include "simulation/inflation.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/check.h"
#include "base/random.h"
#include "control/decide.h"
#include "control/step.h"

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;
using catalog::Isolation;
using catalog::Technology;
using control::State;

const tenancy::Actor kSystem{"simulation", tenancy::Role::kAdmin, {}};
constexpr auto kTeam = "trace";
constexpr auto kTier = "batch";
constexpr base::Instant kNow{};

/// The models that the nodes have. The trace tells a model by name alone: no MIG, no sizes.
std::shared_ptr<const catalog::Catalog> catalog_of(const std::vector<TraceNode>& nodes) {
  std::set<std::string> keys;
  for (const auto& node : nodes)
    if (node.gpus > 0) keys.insert(node.model);
  std::vector<catalog::GpuModel> models;
  for (const auto& key : keys) models.push_back({.key = key, .product = key});
  return std::make_shared<const catalog::Catalog>(std::move(models));
}

/// The fleet as documents: one pool per model, one tier that shares a GPU's time, without
/// oversubscription, or gives it whole.
control::Apply documents_of(const catalog::Catalog& catalog, const std::vector<TraceNode>& nodes) {
  control::Apply apply;
  apply.documents.push_back(
      control::PutTier{{.name = kTier,
                        .isolation = Isolation::kShared,
                        .technologies = {Technology::kTimeSlicing, Technology::kWhole},
                        .oversubscription = 1,
                        .max_tenants = 64,
                        .default_duration = 24h,
                        .max_duration = 24h}});
  for (std::size_t i = 0; i < catalog.models().size(); ++i)
    apply.documents.push_back(
        control::PutPool{{.name = catalog.models()[i].key,
                          .model = catalog::ModelIndex(i),
                          .tiers = {kTier},
                          .technologies = {Technology::kTimeSlicing, Technology::kWhole}}});
  for (const auto& node : nodes)
    if (node.gpus > 0)
      apply.documents.push_back(
          control::PutNode{node.name, node.model, node.gpus, node.cpu, node.memory});
  apply.documents.push_back(control::PutTeam{{.name = kTeam}});
  return apply;
}

/// Indices of the pods in the order of their arrival.
std::vector<std::size_t> arrivals(const std::vector<TracePod>& pods, std::int64_t wanted,
                                  std::uint64_t seed) {
  base::SeededRandom random(seed);
  std::vector<std::size_t> order(pods.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (std::size_t i = order.size() - 1; i > 0; --i)
    std::swap(order[i], order[random.below(i + 1)]);
  std::int64_t sum = 0;
  std::size_t kept = 0;
  while (kept < order.size() && sum < wanted) sum += pods[order[kept++]].milli_gpus();
  order.resize(kept);
  while (sum < wanted) {
    order.push_back(random.below(pods.size()));
    sum += pods[order.back()].milli_gpus();
  }
  return order;
}

/// The fleet while it fills.
class Filling {
 public:
  Filling(const std::vector<TraceNode>& nodes, std::shared_ptr<const catalog::Catalog> catalog)
      : state_(std::move(catalog)) {
    run(documents_of(state_.catalog(), nodes));
    for (const auto& node : nodes)
      if (node.gpus > 0)
        run(control::Report{{.node = node.name, .boot = "1"}},
            {node.name, tenancy::Role::kAgent, node.name});
  }

  /// Whether the pod found a place.
  bool place(const TracePod& pod) { return pod.gpus > 0 ? place_gpus(pod) : place_host(pod); }

 private:
  control::Record run(const control::Command& command, const tenancy::Actor& actor = kSystem) {
    auto record = control::step(state_, command, actor, kNow);
    CHECK_MSG(record.has_value(), base::to_string(record.error()));
    return *std::move(record);
  }

  static request::Need need_of(const TracePod& pod) {
    request::Need need;
    const bool whole = pod.share.count() == 1000;
    need.isolation = whole ? Isolation::kDedicated : Isolation::kShared;
    if (!whole) need.compute = pod.share;
    need.count = pod.gpus;
    need.models = pod.models;
    need.cpu = pod.cpu;
    need.host_memory = pod.memory;
    return need;
  }

  bool place_gpus(const TracePod& pod) {
    auto record =
        control::step(state_, control::Submit{kTeam, pod.name, need_of(pod), {}}, kSystem, kNow);
    if (!record) return false;  // no node could ever hold it
    for (const auto& event : record->events)
      if (std::holds_alternative<control::LeaseGranted>(event)) return true;
    run(control::Cancel{request::RequestId(state_.next_request().value() - 1)});
    return false;
  }

  /// Tessera lends GPUs; a pod without one is not among its requests. It takes CPU and memory of a
  /// GPU node all the same.
  bool place_host(const TracePod& pod);

  State state_;
};

bool Filling::place_host(const TracePod& pod) {
  const auto world = control::world_of(state_, *state_.find_team(kTeam), &state_.rankings());
  const auto best = placement::place_beside(world, {pod.cpu, pod.memory});
  if (!best) return false;
  const auto id = state_.next_request();
  request::Lease lease{.id = state_.next_lease(),
                       .request = id,
                       .team = kTeam,
                       .tier = kTier,
                       .pool = state_.fleet().node(*best).pool,
                       .node = *best,
                       .cpu = pod.cpu,
                       .host_memory = pod.memory,
                       .granted = kNow,
                       .expires = kNow + 24h};
  request::Request request{.id = id, .team = kTeam, .need = need_of(pod), .tier = kTier};
  request.state = request::RequestState::kApproved;
  state_.apply(control::Record{state_.revision() + 1,
                               kNow,
                               kSystem,
                               {control::RequestSubmitted{std::move(request)},
                                control::LeaseGranted{std::move(lease), {}}}});
  return true;
}

}  // namespace

base::Result<InflationResult> inflate(const std::vector<TraceNode>& nodes,
                                      const std::vector<TracePod>& pods,
                                      const InflationOptions& options,
                                      const std::function<void(int percent)>& progress) {
  InflationResult result;
  for (const auto& node : nodes) result.fleet_milli_gpus += node.gpus * 1000;
  std::int64_t asked = 0;
  for (const auto& pod : pods) asked += pod.milli_gpus();
  if (result.fleet_milli_gpus == 0 || asked == 0)
    return base::fail(base::Reason::kInvalidDocument, "there is no GPU in the list",
                      result.fleet_milli_gpus == 0 ? "nodes" : "pods",
                      "give lists with at least one GPU each");

  const auto fleet = result.fleet_milli_gpus;
  Filling filling(nodes, catalog_of(nodes));
  std::int64_t arrived = 0;
  int next_percent = 10;
  const auto note = [&](int percent) {
    result.allocation[percent] =
        100.0 * static_cast<double>(result.allocated_milli_gpus) / static_cast<double>(fleet);
    if (progress) progress(percent);
  };
  for (const auto index : arrivals(pods, fleet * options.inflate_percent / 100, options.seed)) {
    const auto& pod = pods[index];
    for (; (arrived + pod.milli_gpus()) * 100 > fleet * next_percent; next_percent += 10)
      note(next_percent);
    ++result.arrived;
    arrived += pod.milli_gpus();
    if (filling.place(pod)) {
      ++result.placed;
      result.allocated_milli_gpus += pod.milli_gpus();
    }
  }
  note(options.inflate_percent);
  result.lost = result.arrived - result.placed;
  return result;
}

}  // namespace tessera::simulation
