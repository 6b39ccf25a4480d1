#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/box.h"
#include "base/reason.h"
#include "base/time.h"
#include "control/command.h"
#include "control/plan.h"

/// Everything that has happened. The journal stores these and nothing else; applying them in order
/// to an empty state gives the state, byte for byte.
namespace tessera::control {

using base::Instant;
using base::Reason;
using fleet::GpuIndex;
using fleet::NodeIndex;

struct TierPut {
  tenancy::Tier tier;
  static void fields(auto& self, auto&& visit) { visit("tier", self.tier); }
};
struct TierDeleted {
  std::string name;
  static void fields(auto& self, auto&& visit) { visit("name", self.name); }
};
struct TeamPut {
  tenancy::Team team;
  static void fields(auto& self, auto&& visit) { visit("team", self.team); }
};
struct TeamDeleted {
  std::string name;
  static void fields(auto& self, auto&& visit) { visit("name", self.name); }
};
struct PoolPut {
  fleet::Pool pool;
  static void fields(auto& self, auto&& visit) { visit("pool", self.pool); }
};
struct PoolDeleted {
  std::string name;
  static void fields(auto& self, auto&& visit) { visit("name", self.name); }
};
struct NodePut {
  std::string name;
  std::string pool;
  int gpus = 0;
  base::MilliCpu cpu;
  base::MiB memory;
  fleet::Islands nvlink{};
  static void fields(auto& self, auto&& visit) {
    visit("name", self.name);
    visit("pool", self.pool);
    visit("gpus", self.gpus);
    visit("cpu", self.cpu);
    visit("memory", self.memory);
    visit("nvlink", self.nvlink);
  }
};
struct NodeDeleted {
  std::string name;
  static void fields(auto& self, auto&& visit) { visit("name", self.name); }
};
struct NodeCordoned {
  NodeIndex node;
  bool cordoned = true;
  static void fields(auto& self, auto&& visit) {
    visit("node", self.node);
    visit("cordoned", self.cordoned);
  }
};
/// First heard of, heard of again, or booted anew.
struct NodeReady {
  NodeIndex node;
  std::string boot;
  static void fields(auto& self, auto&& visit) {
    visit("node", self.node);
    visit("boot", self.boot);
  }
};
struct NodeLost {
  NodeIndex node;
  static void fields(auto& self, auto&& visit) { visit("node", self.node); }
};
struct GpuIdentified {
  GpuIndex gpu;
  std::string uuid;
  static void fields(auto& self, auto&& visit) {
    visit("gpu", self.gpu);
    visit("uuid", self.uuid);
  }
};
struct GpuHealthChanged {
  GpuIndex gpu;
  fleet::Health health{};
  std::string detail;
  static void fields(auto& self, auto&& visit) {
    visit("gpu", self.gpu);
    visit("health", self.health);
    visit("detail", self.detail);
  }
};
/// A node knows of a future that this journal has lost: it was restored from a backup. What that
/// future numbered is not numbered again.
struct HistoryLost {
  NodeIndex node;
  std::uint64_t incarnation = 0;  ///< that the node last heard from
  LeaseId lease;                  ///< the last one it knows of
  static void fields(auto& self, auto&& visit) {
    visit("node", self.node);
    visit("incarnation", self.incarnation);
    visit("lease", self.lease);
  }
};
struct TokenPut {
  tenancy::Token token;
  static void fields(auto& self, auto&& visit) { visit("token", self.token); }
};
struct TokenDeleted {
  std::string name;
  static void fields(auto& self, auto&& visit) { visit("name", self.name); }
};

struct RequestSubmitted {
  request::Request request;
  static void fields(auto& self, auto&& visit) { visit("request", self.request); }
};
/// The request moved along its life-cycle without a lease being involved: approved, queued (again,
/// if it waits for another reason), rejected, cancelled.
struct RequestMoved {
  RequestId request;
  request::RequestState state{};
  std::string tier;  ///< the one it is matched to from now on; empty: as before
  std::optional<Reason> reason;
  std::string message;
  static void fields(auto& self, auto&& visit) {
    visit("request", self.request);
    visit("state", self.state);
    visit("tier", self.tier);
    visit("reason", self.reason);
    visit("message", self.message);
  }
};
/// Ended long ago and no longer kept in memory; the journal still has it.
struct RequestForgotten {
  RequestId request;
  LeaseId lease;  ///< its last one, forgotten with it; none if it never had any
  static void fields(auto& self, auto&& visit) {
    visit("request", self.request);
    visit("lease", self.lease);
  }
};

/// An idle slice that makes room for a granted one.
struct Retired {
  GpuIndex gpu;
  std::uint64_t generation = 0;
  static void fields(auto& self, auto&& visit) {
    visit("gpu", self.gpu);
    visit("generation", self.generation);
  }
};
/// The lease exists; its slices are being prepared. A slice whose shape is an idle instance of the
/// GPU takes that instance over under the new generation.
struct LeaseGranted {
  request::Lease lease;
  std::vector<Retired> retired;
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("retired", self.retired);
  }
};
struct SliceReady {
  GpuIndex gpu;
  std::uint64_t generation = 0;
  std::string device;
  static void fields(auto& self, auto&& visit) {
    visit("gpu", self.gpu);
    visit("generation", self.generation);
    visit("device", self.device);
  }
};
struct SliceFailed {
  GpuIndex gpu;
  std::uint64_t generation = 0;
  std::string detail;
  static void fields(auto& self, auto&& visit) {
    visit("gpu", self.gpu);
    visit("generation", self.generation);
    visit("detail", self.detail);
  }
};
/// Verified free. A MIG instance stays as an idle slice if `kept`; all else is gone.
struct SliceFreed {
  GpuIndex gpu;
  std::uint64_t generation = 0;
  bool kept = false;
  static void fields(auto& self, auto&& visit) {
    visit("gpu", self.gpu);
    visit("generation", self.generation);
    visit("kept", self.kept);
  }
};
/// All slices are ready: the team may use them.
struct LeaseActivated {
  LeaseId lease;
  Instant at{};
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("at", self.at);
  }
};
/// The notice before the end was given.
struct LeaseExpiring {
  LeaseId lease;
  static void fields(auto& self, auto&& visit) { visit("lease", self.lease); }
};
struct LeaseRenewed {
  LeaseId lease;
  Instant expires{};
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("expires", self.expires);
  }
};
/// The lease is over; its slices are being scrubbed. `requeue`: the request waits again, with its
/// age kept.
struct LeaseEnding {
  LeaseId lease;
  Reason reason{};
  std::string message;
  bool requeue = false;
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("reason", self.reason);
    visit("message", self.message);
    visit("requeue", self.requeue);
  }
};
/// All slices were verified free; the quota is given back.
struct LeaseEnded {
  LeaseId lease;
  Instant at{};
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("at", self.at);
  }
};

/// A node's use was counted up to `sequence` of `stream`, summed up by lease.
struct UseRecorded {
  std::string node;
  std::string stream;
  std::uint64_t sequence = 0;
  std::vector<fleet::LeaseUse> leases;  ///< by rising lease
  static void fields(auto& self, auto&& visit) {
    visit("node", self.node);
    visit("stream", self.stream);
    visit("sequence", self.sequence);
    visit("leases", self.leases);
  }
};
/// A plan was computed and can be applied.
struct PlanPut {
  base::Box<Plan> plan;
  static void fields(auto& self, auto&& visit) { visit("plan", self.plan); }
};
/// The plan is being applied: its GPUs take nothing new, but for those that are left out because
/// what the plan knew of them no longer holds. Moves that touch these are skipped.
struct PlanStarted {
  PlanId plan;
  std::vector<GpuIndex> left_out = {};  ///< by rising index
  bool may_restart = false;             ///< leases, where the plan has to
  static void fields(auto& self, auto&& visit) {
    visit("plan", self.plan);
    visit("leftOut", self.left_out);
    visit("mayRestart", self.may_restart);
  }
};
/// All moves of these GPUs are done: they take new slices again.
struct PlanAdvanced {
  PlanId plan;
  std::vector<GpuIndex> released;
  static void fields(auto& self, auto&& visit) {
    visit("plan", self.plan);
    visit("released", self.released);
  }
};
/// Done, stopped or withdrawn: all of its GPUs take new slices again.
struct PlanEnded {
  PlanId plan;
  PlanState state{};
  std::optional<Reason> reason;
  std::string message;
  static void fields(auto& self, auto&& visit) {
    visit("plan", self.plan);
    visit("state", self.state);
    visit("reason", self.reason);
    visit("message", self.message);
  }
};
/// A slice is being prepared to which the lease will change over; the one it has stays in use.
struct LeaseMoving {
  LeaseId lease;
  PlanId plan;
  std::uint32_t move = 0;  ///< in Plan::moves
  request::LeasedSlice to;
  std::vector<Retired> retired;
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("plan", self.plan);
    visit("move", self.move);
    visit("to", self.to);
    visit("retired", self.retired);
  }
};
/// The lease has changed over: the new slice is its own, the old one is being scrubbed.
struct LeaseMoved {
  LeaseId lease;
  std::string before;  ///< device
  std::string after;
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("before", self.before);
    visit("after", self.after);
  }
};
/// The lease stays where it is: what was prepared for it is taken down.
struct LeaseStays {
  LeaseId lease;
  std::string message;
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("message", self.message);
  }
};

/// The plan starts once its window opens.
struct PlanScheduled {
  PlanId plan;
  Instant opens{};
  Instant closes{};
  bool may_restart = false;
  static void fields(auto& self, auto&& visit) {
    visit("plan", self.plan);
    visit("opens", self.opens);
    visit("closes", self.closes);
    visit("mayRestart", self.may_restart);
  }
};
/// The window of the plan that is being applied has closed: moves that have not begun are skipped.
struct PlanCutShort {
  PlanId plan;
  static void fields(auto& self, auto&& visit) { visit("plan", self.plan); }
};

/// The holder of a lease that the plan will restart is told so.
struct RestartAnnounced {
  LeaseId lease;
  PlanId plan;
  std::uint32_t move = 0;  ///< in Plan::moves: a kStop
  Instant not_before{};
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("plan", self.plan);
    visit("move", self.move);
    visit("notBefore", self.not_before);
  }
};
/// The request of a lease that was stopped gets this place: the lease that is granted next is its.
struct RestartPlaced {
  LeaseId lease;  ///< the new one
  PlanId plan;
  std::uint32_t move = 0;  ///< in Plan::moves: a kStart
  GpuIndex gpu;
  catalog::InstanceIndex instance = 0;
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("plan", self.plan);
    visit("move", self.move);
    visit("gpu", self.gpu);
    visit("instance", self.instance);
  }
};
/// Neither the planned place nor the old one can be had: the request waits like any other.
struct RestartLeft {
  PlanId plan;
  std::uint32_t move = 0;  ///< in Plan::moves: a kStart
  static void fields(auto& self, auto&& visit) {
    visit("plan", self.plan);
    visit("move", self.move);
  }
};
/// The plan will end as `as`, once those it has stopped have a slice again.
struct PlanTurnedBack {
  PlanId plan;
  PlanState as{};
  std::optional<Reason> reason;
  std::string message;
  static void fields(auto& self, auto&& visit) {
    visit("plan", self.plan);
    visit("as", self.as);
    visit("reason", self.reason);
    visit("message", self.message);
  }
};

/// Append only: the position of an alternative is its number in the journal.
using Event = std::variant<
    TierPut, TierDeleted, TeamPut, TeamDeleted, PoolPut, PoolDeleted, NodePut, NodeDeleted,
    NodeCordoned, NodeReady, NodeLost, GpuIdentified, GpuHealthChanged, TokenPut, TokenDeleted,
    RequestSubmitted, RequestMoved, RequestForgotten, LeaseGranted, SliceReady, SliceFailed,
    SliceFreed, LeaseActivated, LeaseExpiring, LeaseRenewed, LeaseEnding, LeaseEnded, UseRecorded,
    HistoryLost, PlanPut, PlanStarted, PlanAdvanced, PlanEnded, LeaseMoving, LeaseMoved, LeaseStays,
    PlanScheduled, PlanCutShort, RestartAnnounced, RestartPlaced, RestartLeft, PlanTurnedBack>;

/// "LeaseGranted": the event's name in the audit trail.
std::string_view name_of(const Event& event);

/// The events of one step, which stand or fall together.
struct Record {
  std::uint64_t revision = 0;  ///< 1, 2, 3 … without gaps
  Instant at{};
  tenancy::Actor actor;
  std::vector<Event> events;
  std::uint64_t incarnation = 0;  ///< of the process that made it (State::begin_incarnation)
  static void fields(auto& self, auto&& visit) {
    visit("revision", self.revision);
    visit("at", self.at);
    visit("actor", self.actor);
    visit("events", self.events);
    visit("incarnation", self.incarnation);
  }
};

}  // namespace tessera::control
