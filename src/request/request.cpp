#include "request/request.h"

#include <algorithm>
#include <array>

namespace tessera::request {
namespace {

using enum RequestState;

struct Edge {
  RequestState from, to;
};
/// The diagram in request.h. Cancelling is legal from every state that is not terminal and is
/// handled apart; a holding request passes through releasing first.
constexpr Edge kEdges[] = {
    {kPendingApproval, kApproved},
    {kPendingApproval, kRejected},
    {kApproved, kQueued},
    {kApproved, kProvisioning},
    {kQueued, kQueued},
    {kQueued, kProvisioning},
    {kQueued, kRejected},
    {kProvisioning, kActive},
    {kProvisioning, kReleasing},
    {kProvisioning, kQueued},
    {kProvisioning, kFailed},
    {kActive, kExpiring},
    {kActive, kReleasing},
    {kActive, kQueued},
    {kActive, kFailed},
    {kExpiring, kActive},
    {kExpiring, kReleasing},
    {kExpiring, kQueued},
    {kExpiring, kFailed},
    {kReleasing, kReleased},
    {kReleasing, kFailed},
};

}  // namespace

std::string_view to_string(RequestState state) {
  constexpr auto kFirst = static_cast<std::size_t>(kPendingApproval);
  constexpr std::array<std::string_view, 11> kNames = {
      "pending-approval", "approved", "queued",   "provisioning", "active", "expiring",
      "releasing",        "released", "rejected", "cancelled",    "failed"};
  return kNames.at(static_cast<std::size_t>(state) - kFirst);
}

std::string_view to_string(LeaseState state) {
  constexpr std::array<std::string_view, 5> kNames = {"provisioning", "active", "expiring",
                                                      "releasing", "ended"};
  return kNames[static_cast<std::size_t>(state)];
}

bool terminal(RequestState state) {
  return state == kReleased || state == kRejected || state == kCancelled || state == kFailed;
}

bool holding(RequestState state) {
  return state == kProvisioning || state == kActive || state == kExpiring || state == kReleasing;
}

bool may_follow(RequestState from, RequestState to) {
  if (to == kCancelled) return !terminal(from);
  for (const auto& edge : kEdges)
    if (edge.from == from && edge.to == to) return true;
  return false;
}

std::vector<LeasedSlice> held_by(const Lease& lease) {
  std::vector<LeasedSlice> all;
  each_held_by(lease, [&](const LeasedSlice& slice) { all.push_back(slice); });
  return all;
}

std::vector<fleet::NodeIndex> nodes_of(const Lease& lease, const fleet::Fleet& fleet) {
  std::vector<fleet::NodeIndex> nodes;
  if (lease.slices.empty() && lease.node.valid()) nodes.push_back(lease.node);
  for (const auto& own : lease.slices) {
    const auto node = fleet.gpu(own.gpu).node;
    if (node.valid() && std::ranges::find(nodes, node) == nodes.end()) nodes.push_back(node);
  }
  return nodes;
}

std::string_view to_string(Nvlink nvlink) {
  return nvlink == Nvlink::kRequired ? "required" : "preferred";
}

}  // namespace tessera::request
