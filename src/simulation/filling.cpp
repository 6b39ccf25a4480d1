#include "simulation/filling.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/check.h"
#include "control/decide.h"
#include "control/step.h"

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;
using catalog::Isolation;
using catalog::Technology;

const tenancy::Actor kTracer{"simulation", tenancy::Role::kAdmin, {}};
constexpr auto kTraceTeam = "trace";
constexpr auto kTraceTier = "batch";
constexpr base::Instant kAllTheTime{};
constexpr std::int64_t kWholeGpu = 1000;

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
      control::PutTier{{.name = kTraceTier,
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
                          .tiers = {kTraceTier},
                          .technologies = {Technology::kTimeSlicing, Technology::kWhole}}});
  for (const auto& node : nodes)
    if (node.gpus > 0)
      apply.documents.push_back(
          control::PutNode{node.name, node.model, node.gpus, node.cpu, node.memory});
  apply.documents.push_back(control::PutTeam{{.name = kTraceTeam}});
  return apply;
}

request::Need need_of(const TracePod& pod) {
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

}  // namespace

Filling::Filling(const std::vector<TraceNode>& nodes) : state_(catalog_of(nodes)) {
  run(documents_of(state_.catalog(), nodes), kTracer);
  for (const auto& node : nodes)
    if (node.gpus > 0)
      run(control::Report{{.node = node.name, .boot = "1"}},
          {node.name, tenancy::Role::kAgent, node.name});
  tenants_.resize(state_.fleet().nodes().size());
}

control::Record Filling::run(const control::Command& command, const tenancy::Actor& actor) {
  auto record = control::step(state_, command, actor, kAllTheTime);
  CHECK_MSG(record.has_value(), base::to_string(record.error()));
  return *std::move(record);
}

void Filling::apply(std::vector<control::Event> events) {
  state_.apply(control::Record{state_.revision() + 1, kAllTheTime, kTracer, std::move(events)});
}

bool Filling::holds(RequestId request) const {
  return request::holding(this->request(request).state);
}

void Filling::note_tenant(RequestId id) {
  const auto& need = request(id).need;
  const auto& lease = *state_.find(request(id).lease);
  Tenant tenant{
      .id = id, .kind = kind_of(id), .cpu = need.cpu.count(), .memory = need.host_memory.count()};
  for (const auto& slice : lease.slices) tenant.gpus.push_back(slice.gpu);
  if (need.count > 0) tenant.share = need.compute.count() > 0 ? need.compute.count() : kWholeGpu;
  tenants_[lease.node.value()].push_back(std::move(tenant));
  ++running_;
}

std::optional<RequestId> Filling::arrive(const TracePod& pod) {
  const auto id = state_.next_request();
  if (pod.gpus > 0) {
    // Refused: no node could ever hold it.
    if (!control::step(state_, control::Submit{kTraceTeam, pod.name, need_of(pod), {}}, kTracer,
                       kAllTheTime))
      return std::nullopt;
    if (holds(id)) note_tenant(id);
    return id;
  }
  request::Request request{.id = id, .tier = kTraceTier, .need = need_of(pod), .team = kTraceTeam};
  request.state = request::RequestState::kApproved;
  const auto spot = spot_for(request);
  if (!spot) return std::nullopt;
  apply({control::RequestSubmitted{request}, control::grant(state_, request, *spot, kAllTheTime)});
  note_tenant(id);
  return id;
}

std::size_t Filling::kind_of(RequestId id) {
  const auto& need = request(id).need;
  Asked asked{need.count, need.compute.count(), need.cpu.count(), need.host_memory.count(),
              need.models};
  return kinds_.try_emplace(std::move(asked), kinds_.size()).first->second;
}

void Filling::give_up(RequestId request) {
  run(control::Cancel{request}, kTracer);
}

placement::Spot Filling::take_away(RequestId request) {
  const auto& lease = *state_.find(this->request(request).lease);
  const auto id = lease.id;
  placement::Spot spot{
      .tier = lease.tier, .pool = lease.pool, .node = lease.node, .cost = lease.cost};
  std::vector<control::Event> events{
      control::LeaseEnding{id, base::Reason::kPreempted, "moves", true}};
  for (const auto& slice : lease.slices) {
    spot.grants.push_back({.gpu = slice.gpu, .shape = slice.shape});
    events.emplace_back(control::SliceFreed{slice.gpu, slice.generation, false});
  }
  events.emplace_back(control::LeaseEnded{id, kAllTheTime});
  apply(std::move(events));
  std::erase_if(tenants_[spot.node.value()],
                [&](const Tenant& tenant) { return tenant.id == request; });
  --running_;
  return spot;
}

void Filling::put_back(RequestId request, const placement::Spot& spot) {
  apply({control::grant(state_, this->request(request), spot, kAllTheTime)});
  note_tenant(request);
}

placement::Spot Filling::moved_to(placement::Spot spot, fleet::GpuIndex gpu) const {
  spot.node = state_.fleet().gpu(gpu).node;
  spot.pool = state_.fleet().node(spot.node).pool;
  spot.grants.at(0).gpu = gpu;
  return spot;
}

bool Filling::place(RequestId request) {
  const auto spot = spot_for(this->request(request));
  if (spot) put_back(request, *spot);
  return spot.has_value();
}

std::optional<placement::Spot> Filling::spot_for(const request::Request& request) {
  const auto world = control::world_of(state_, *state_.find_team(kTraceTeam), &state_.rankings());
  const auto& need = request.need;
  if (need.count == 0) {
    const auto node = placement::place_beside(world, {need.cpu, need.host_memory});
    if (!node) return std::nullopt;
    return placement::Spot{
        .tier = kTraceTier, .pool = state_.fleet().node(*node).pool, .node = *node};
  }
  const auto matched = placement::match(world.for_matching(), control::matched_need(request));
  if (!matched) return std::nullopt;
  auto spot = placement::place(world, *matched, need);
  if (!spot) return std::nullopt;
  return *std::move(spot);
}

}  // namespace tessera::simulation
