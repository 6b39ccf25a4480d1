#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/reason.h"
#include "base/time.h"
#include "fleet/fleet.h"
#include "fleet/use.h"
#include "request/need.h"

namespace tessera::request {

using base::Instant;
using base::Reason;
using RequestId = base::Serial<struct RequestTag>;
using fleet::LeaseId;

/// A request's life. It begins once it was matched to a tier: what no tier could serve is refused.
/// One command may pass several states at once; its event names the last.
///
///   pending-approval -> approved -> queued -> provisioning -> active
///                          |                     ^    |         |
///                          +---- room is free ---+    |      expiring
///                                        device failed|         |
///                              queued <---------------+     releasing
///                                                               |
///   terminal: rejected, cancelled, failed, released <-----------+
///
/// Cancel is legal from any state that is not terminal. preempted -> queued keeps its age, and so
/// does queued -> queued: it waits for another reason.
enum class RequestState : std::uint8_t {
  kPendingApproval = 2,  // where journals begin to count
  kApproved,
  kQueued,
  kProvisioning,
  kActive,
  kExpiring,
  kReleasing,
  kReleased,
  kRejected,
  kCancelled,
  kFailed,
};
std::string_view to_string(RequestState state);
bool terminal(RequestState state);
/// Holds slices: provisioning, active, expiring or releasing.
bool holding(RequestState state);
/// Whether the diagram above has an edge from `from` to `to`.
bool may_follow(RequestState from, RequestState to);

/// What changes along its life stands together: a large fleet's requests are cold memory, and each
/// change should wake little of it.
struct Request {
  RequestId id;
  LeaseId lease;                 ///< the one it holds or held last
  Instant ended{};               ///< epoch until terminal
  int open_leases = 0;           ///< granted to it, their slices not yet verified free
  int attempts = 0;              ///< times its slices failed on a device
  std::optional<Reason> reason;  ///< why it waits or how it ended
  RequestState state = RequestState::kPendingApproval;
  std::string message;  ///< the reason for people
  std::string tier;     ///< matched tier
  Need need;
  std::string team;
  Instant submitted{};
  std::string purpose;
  std::string submitted_by;
  std::string idempotency_key;  ///< of the client; empty: none

  static void fields(auto& self, auto&& visit) {
    visit("id", self.id);
    visit("team", self.team);
    visit("purpose", self.purpose);
    visit("submittedBy", self.submitted_by);
    visit("need", self.need);
    visit("submitted", self.submitted);
    visit("state", self.state);
    visit("tier", self.tier);
    visit("reason", self.reason);
    visit("message", self.message);
    visit("lease", self.lease);
    visit("openLeases", self.open_leases);
    visit("attempts", self.attempts);
    visit("idempotencyKey", self.idempotency_key);
    visit("ended", self.ended);
  }
};

/// One slice of a lease: where it is and which grant of it.
struct LeasedSlice {
  fleet::GpuIndex gpu;
  std::uint64_t generation = 0;
  fleet::SliceShape shape;
  static void fields(auto& self, auto&& visit) {
    visit("gpu", self.gpu);
    visit("generation", self.generation);
    visit("shape", self.shape);
  }
};

/// What a plan did to a lease last: its processes run on another device now.
struct LastMove {
  Instant at{};
  std::string before;  ///< device
  std::string after;
  static void fields(auto& self, auto&& visit) {
    visit("at", self.at);
    visit("before", self.before);
    visit("after", self.after);
  }
};

///   kProvisioning -> kActive -> kExpiring (notice given) -> kReleasing -> kEnded
enum class LeaseState : std::uint8_t { kProvisioning, kActive, kExpiring, kReleasing, kEnded };
std::string_view to_string(LeaseState state);

/// What a team holds, over which slices, until when.
/// Laid out as Request is.
struct Lease {
  LeaseId id;
  RequestId request;
  LeaseState state = LeaseState::kProvisioning;
  std::optional<Reason> end_reason;
  Instant expires{};  ///< end of the promise; renewals move it
  Instant ended{};    ///< epoch until the slices were verified free
  fleet::PoolIndex pool;
  fleet::NodeIndex node;  ///< the first, of a gang on several
  fleet::Cost cost;       ///< charged to the team's quota until the slices are verified free
  std::vector<LeasedSlice> slices;
  std::string team;
  std::string tier;
  Instant granted{};
  Instant activated{};  ///< epoch until active
  MilliCpu cpu;         ///< of the host of each node
  MiB host_memory;      ///< of the host of each node
  fleet::Use use;       ///< as measured, as far as it was told
  /// Being prepared for it elsewhere: it will change over. Not charged.
  std::optional<LeasedSlice> arriving;
  /// It has left these, or will never use them; they are not yet verified free. Not charged.
  std::vector<LeasedSlice> leaving;
  std::optional<LastMove> moved;

  static void fields(auto& self, auto&& visit) {
    visit("id", self.id);
    visit("request", self.request);
    visit("team", self.team);
    visit("tier", self.tier);
    visit("pool", self.pool);
    visit("node", self.node);
    visit("slices", self.slices);
    visit("cost", self.cost);
    visit("cpu", self.cpu);
    visit("hostMemory", self.host_memory);
    visit("state", self.state);
    visit("granted", self.granted);
    visit("activated", self.activated);
    visit("expires", self.expires);
    visit("ended", self.ended);
    visit("endReason", self.end_reason);
    visit("use", self.use);
    visit("arriving", self.arriving);
    visit("leaving", self.leaving);
    visit("moved", self.moved);
  }
};

/// Calls `act` with every slice that a lease has anything to do with: its own, then the one
/// arriving, then those it is leaving.
void each_held_by(const Lease& lease, auto&& act) {
  for (const auto& slice : lease.slices) act(slice);
  if (lease.arriving) act(*lease.arriving);
  for (const auto& slice : lease.leaving) act(slice);
}
/// The same as a list.
std::vector<LeasedSlice> held_by(const Lease& lease);
/// The nodes that its own slices are on, each once, in the order of the slices; of one that takes
/// nothing but a host, that. One that has left the fleet is not among them.
std::vector<fleet::NodeIndex> nodes_of(const Lease& lease, const fleet::Fleet& fleet);

/// Does the system still owe the holder what was granted?
inline bool promised(const Lease& lease) {
  return lease.state <= LeaseState::kExpiring;
}

}  // namespace tessera::request
