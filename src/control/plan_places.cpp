#include "control/plan_places.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"

namespace tessera::control {

using catalog::Layout;
using fleet::MigSlice;
using fleet::SlicePhase;

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

std::optional<Obstacle> obstacle_of(const State& state, const request::Lease& lease) {
  const auto* tier = state.find_tier(lease.tier);
  if (tier == nullptr || !tier->movable)
    return Obstacle{Reason::kConflict, "leases of tier " + lease.tier + " may not be moved"};
  return std::nullopt;
}

const catalog::LayoutTable& layouts_of(const State& state, GpuIndex gpu) {
  return state.catalog().model(state.fleet().pool_of(gpu).model).layouts;
}

std::vector<Retired> in_the_way(const State& state, GpuIndex index, Layout made) {
  const auto& gpu = state.fleet().gpu(index);
  const auto& layouts = layouts_of(state, index);
  const Layout after = fleet::occupancy_of(gpu).held | made;
  std::vector<Retired> retired;
  for (const auto& slice : gpu.slices) {
    const auto* mig = std::get_if<MigSlice>(&slice.shape);
    if (slice.phase != SlicePhase::kIdle || mig == nullptr) continue;
    if ((made & catalog::bit(mig->instance)) != 0) continue;
    if ((layouts.addable(after) & catalog::bit(mig->instance)) == 0)
      retired.push_back({index, slice.generation});
  }
  return retired;
}

bool is_free(const State& state, const Seat& seat) {
  const auto occupancy = fleet::occupancy_of(state.fleet().gpu(seat.gpu));
  if (!occupancy.empty() && occupancy.technology != catalog::Technology::kMig) return false;
  const auto addable = layouts_of(state, seat.gpu).addable(occupancy.held);
  return (addable & catalog::bit(seat.instance)) != 0;
}

bool host_has_room(const fleet::Node& node, const request::Need& need) {
  return (node.cpu.count() == 0 || node.cpu_used + need.cpu <= node.cpu) &&
         (node.memory.count() == 0 || node.memory_used + need.host_memory <= node.memory);
}

namespace {

/// What the seats are, by GPU; nothing where they cannot be held together, or are of several
/// profiles.
std::optional<std::map<GpuIndex, Layout>> together(const State& state,
                                                   std::span<const Seat> seats) {
  std::map<GpuIndex, Layout> made;
  std::set<std::size_t> profiles;
  for (const auto& seat : seats) {
    if (!is_free(state, seat)) return std::nullopt;
    const auto& layouts = layouts_of(state, seat.gpu);
    const auto held = fleet::occupancy_of(state.fleet().gpu(seat.gpu)).held;
    auto& here = made[seat.gpu];
    if ((layouts.addable(held | here) & catalog::bit(seat.instance)) == 0) return std::nullopt;
    here |= catalog::bit(seat.instance);
    profiles.insert(layouts.instance(seat.instance).profile);
  }
  if (profiles.size() != 1) return std::nullopt;
  return made;
}

placement::Spot spot_of(const State& state, std::span<const Seat> seats,
                        const std::map<GpuIndex, Layout>& made,
                        const placement::Candidate& candidate, const std::string& tier) {
  placement::Spot spot{
      .tier = tier, .pool = candidate.pool, .node = state.fleet().gpu(seats.front().gpu).node};
  for (const auto& seat : seats) {
    placement::Grant slice{.gpu = seat.gpu, .shape = MigSlice{seat.instance}};
    for (const auto& retired : in_the_way(state, seat.gpu, made.at(seat.gpu)))
      slice.retires.push_back(retired.generation);
    spot.grants.push_back(std::move(slice));
    spot.cost += candidate.cost;
  }
  return spot;
}

}  // namespace

std::optional<LeaseGranted> grant_at(const State& state, const request::Request& request,
                                     std::span<const Seat> seats, const placement::World& world,
                                     Instant now) {
  const auto need = matched_need(request);
  const auto made = together(state, seats);
  if (!made || need.nodes != 1 || static_cast<std::size_t>(need.count) != seats.size())
    return std::nullopt;
  const auto& gpu = state.fleet().gpu(seats.front().gpu);
  const auto& node = state.fleet().node(gpu.node);
  const bool one_node = std::ranges::all_of(
      seats, [&](const Seat& seat) { return state.fleet().gpu(seat.gpu).node == gpu.node; });
  const auto matched = placement::match(world.for_matching(), need);
  if (!matched || !one_node || !host_has_room(node, need)) return std::nullopt;
  const auto profile =
      layouts_of(state, seats.front().gpu).instance(seats.front().instance).profile;
  for (const auto& candidate : matched->candidates) {
    if (candidate.pool != node.pool || candidate.technology != catalog::Technology::kMig ||
        candidate.profile != profile || !placement::within_limit(world, candidate, need.count))
      continue;
    return grant(state, request, spot_of(state, seats, *made, candidate, matched->tier->name), now);
  }
  return std::nullopt;
}

}  // namespace tessera::control
