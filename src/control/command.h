#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/box.h"
#include "base/time.h"
#include "base/week.h"
#include "control/plan.h"
#include "fleet/node_protocol.h"
#include "fleet/pool.h"
#include "fleet/use.h"
#include "request/need.h"
#include "request/request.h"
#include "tenancy/role.h"
#include "tenancy/team.h"
#include "tenancy/tier.h"

/// Everything that can be asked of the control plane. A command may be refused; what it causes is
/// a list of events.
namespace tessera::control {

using base::Duration;
using request::LeaseId;
using request::RequestId;

struct PutTier {
  tenancy::Tier tier;
};
struct DeleteTier {
  std::string name;
};
struct PutTeam {
  tenancy::Team team;
};
struct DeleteTeam {
  std::string name;
};
struct PutPool {
  fleet::Pool pool;
};
struct DeletePool {
  std::string name;
};
/// Declares a node. GPUs may only grow while any of them is held.
struct PutNode {
  std::string name;
  std::string pool;
  int gpus = 0;
  base::MilliCpu cpu;
  base::MiB memory;
  fleet::Islands nvlink{};
};
/// With `gone`, the machine will never report again: what it holds is given up, its leases end
/// and their requests wait for other hardware. Without, a node that holds anything stays.
struct DeleteNode {
  std::string name;
  bool gone = false;
};
/// Several documents as one step, all or nothing, each seeing those before it.
struct Apply {
  std::vector<std::variant<PutTier, PutPool, PutNode, PutTeam>> documents;
};
struct Cordon {
  std::string node;
  bool cordoned = true;
};
/// Takes a quarantined GPU back into service: a person has looked at it.
struct Restore {
  std::string gpu;
};
struct PutToken {
  tenancy::Token token;
};
struct DeleteToken {
  std::string name;
};

/// An agent has shown the token that lets it join: that one is used up, and from now on it is known
/// by its key. `agent` may take the place of a token of the same name if that is the digest of an
/// earlier key, which is for the asker to see.
struct AdmitAgent {
  std::string used;  ///< name of the token to join with
  tenancy::Token agent;
};

struct Submit {
  std::string team;
  std::string purpose;
  request::Need need;
  std::string idempotency_key;
};
struct Approve {
  RequestId request;
};
struct Reject {
  RequestId request;
  std::string message;
};
struct Cancel {
  RequestId request;
};
/// Moves the end of a lease by `extra`, at most to now + the tier's maximum.
struct Renew {
  LeaseId lease;
  Duration extra{};
};
struct Release {
  LeaseId lease;
};

/// Keeps a plan that was computed from this state or an earlier one.
struct PutPlan {
  base::Box<Plan> plan;
};
/// Starts what the plan says, at once or, with a window, as soon as that is open. Refused when what
/// it rests on has changed since it was computed.
struct ApplyPlan {
  PlanId plan;
  std::optional<base::WeekWindow> window = std::nullopt;
  bool allow_restarts = false;  ///< else refused where the plan has to restart leases
};
/// Stops a plan where it is, or withdraws it.
struct AbortPlan {
  PlanId plan;
};

/// A node's agent tells what is.
struct Report {
  fleet::NodeReport report;
};
/// A node's agent tells how much of its leases' slices was used.
struct RecordUse {
  fleet::UseReport report;
};
/// The runtime has not heard of a node for longer than it should.
struct NodeSilent {
  std::string node;
};
/// Time has passed: notices, expiries and clean-ups that are due.
struct Tick {};

using Command = std::variant<PutTier, DeleteTier, PutTeam, DeleteTeam, PutPool, DeletePool, PutNode,
                             DeleteNode, Apply, Cordon, Restore, PutToken, DeleteToken, Submit,
                             Approve, Reject, Cancel, Renew, Release, Report, NodeSilent, Tick,
                             RecordUse, PutPlan, ApplyPlan, AbortPlan, AdmitAgent>;

}  // namespace tessera::control
