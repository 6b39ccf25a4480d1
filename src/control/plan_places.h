#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/decide.h"

/// Places on GPUs that a plan knows by number: whether they can be had, and a grant of them.
namespace tessera::control {

/// What is in a plan's way.
struct Obstacle {
  Reason reason{};
  std::string message;
};

/// Why this GPU cannot be changed by a plan.
std::optional<Obstacle> obstacle_on(const State& state, GpuIndex index);
/// Why this lease cannot be moved or restarted, on top of what its GPUs say.
std::optional<Obstacle> obstacle_of(const State& state, const request::Lease& lease);

const catalog::LayoutTable& layouts_of(const State& state, GpuIndex gpu);

/// Idle instances that have to go where these are made.
std::vector<Retired> in_the_way(const State& state, GpuIndex index, catalog::Layout made);

/// Is this place of the GPU held by nobody, nor any part of it?
bool is_free(const State& state, const Seat& seat);

bool host_has_room(const fleet::Node& node, const request::Need& need);

/// The places as a grant for a request that waits, if its team may have them: all of one profile,
/// as many as it asked for. `world` is of its team. Whether the GPUs take requests is the caller's
/// to know.
std::optional<LeaseGranted> grant_at(const State& state, const request::Request& request,
                                     std::span<const Seat> seats, const placement::World& world,
                                     Instant now);

}  // namespace tessera::control
