#include <variant>

#include "control/step.h"

namespace tessera::control {
namespace {

std::string request_name(RequestId id) {
  return "req-" + std::to_string(id.value());
}
std::string plan_name(PlanId id) {
  return "plan-" + std::to_string(id.value());
}
std::string lease_name(LeaseId id) {
  return "lease-" + std::to_string(id.value());
}

/// Names what each event changed. Runs after the event was applied; what it removed is named from
/// the event alone.
class Touched {
 public:
  explicit Touched(const State& state) : state_(state) {}
  std::vector<ObjectRef> take() { return std::move(refs_); }

  void operator()(const TierPut& event) { add("Tier", event.tier.name); }
  void operator()(const TierDeleted& event) { add("Tier", event.name); }
  void operator()(const TeamPut& event) { add("Team", event.team.name); }
  void operator()(const TeamDeleted& event) { add("Team", event.name); }
  void operator()(const PoolPut& event) {
    add("Pool", event.pool.name);
    if (const auto pool = state_.fleet().find_pool(event.pool.name))
      for (const auto node : state_.fleet().nodes_of(*pool)) add_gpus(node);
  }
  void operator()(const PoolDeleted& event) { add("Pool", event.name); }
  void operator()(const NodePut& event) {
    add("Pool", event.pool);
    if (const auto node = state_.fleet().find_node(event.name)) add_node(*node);
  }
  void operator()(const NodeDeleted& event) { add("Node", event.name); }
  void operator()(const NodeCordoned& event) { add_node(event.node); }
  void operator()(const NodeReady& event) { add_node(event.node); }
  void operator()(const NodeLost& event) { add_node(event.node); }
  void operator()(const GpuIdentified& event) { add_gpu(event.gpu); }
  void operator()(const GpuHealthChanged& event) { add_gpu(event.gpu); }
  void operator()(const TokenPut&) {}
  void operator()(const TokenDeleted&) {}
  void operator()(const RequestSubmitted& event) { add_request(event.request.id); }
  void operator()(const RequestMoved& event) { add_request(event.request); }
  void operator()(const RequestForgotten& event) {
    add_request(event.request);
    if (event.lease.valid()) add_lease(event.lease);
  }
  void operator()(const LeaseGranted& event) {
    add_lease(event.lease.id);
    for (const auto& slice : event.lease.slices) add_gpu(slice.gpu);
  }
  void operator()(const SliceReady& event) { add_gpu(event.gpu); }
  void operator()(const SliceFailed& event) { add_gpu(event.gpu); }
  void operator()(const SliceFreed& event) {
    add_gpu(event.gpu);
    add_applying();
  }
  void operator()(const LeaseActivated& event) {
    add_lease(event.lease);
    add_applying();
  }
  void operator()(const LeaseExpiring& event) { add_lease(event.lease); }
  void operator()(const LeaseRenewed& event) { add_lease(event.lease); }
  void operator()(const LeaseEnding& event) {
    add_lease(event.lease);
    add_applying();
    if (const auto* lease = state_.find(event.lease))
      for (const auto& slice : request::held_by(*lease)) add_gpu(slice.gpu);
  }
  void operator()(const LeaseEnded& event) { add_lease(event.lease); }
  void operator()(const UseRecorded& event) {
    for (const auto& each : event.leases) add("Lease", lease_name(each.lease));
  }
  void operator()(const HistoryLost& event) { add_node(event.node); }
  void operator()(const PlanPut& event) { add("Plan", plan_name(event.plan->id)); }
  void operator()(const PlanStarted& event) { add_plan(event.plan); }
  void operator()(const PlanAdvanced& event) {
    add("Plan", plan_name(event.plan));
    for (const auto gpu : event.released) add_gpu(gpu);
  }
  void operator()(const PlanEnded& event) { add_plan(event.plan); }
  void operator()(const PlanScheduled& event) { add("Plan", plan_name(event.plan)); }
  void operator()(const PlanCutShort& event) { add("Plan", plan_name(event.plan)); }
  void operator()(const RestartAnnounced& event) {
    add("Plan", plan_name(event.plan));
    add_lease(event.lease);
  }
  void operator()(const RestartPlaced& event) { add("Plan", plan_name(event.plan)); }
  void operator()(const RestartLeft& event) { add("Plan", plan_name(event.plan)); }
  void operator()(const PlanTurnedBack& event) { add("Plan", plan_name(event.plan)); }
  void operator()(const LeaseMoving& event) {
    add("Plan", plan_name(event.plan));
    add_lease(event.lease);
    add_gpu(event.to.gpu);
  }
  void operator()(const LeaseMoved& event) { add_moving(event.lease); }
  void operator()(const LeaseStays& event) { add_moving(event.lease); }

 private:
  void add(std::string kind, std::string name) {
    refs_.push_back({std::move(kind), std::move(name)});
  }
  void add_request(RequestId id) { add("Request", request_name(id)); }
  void add_lease(LeaseId id) {
    add("Lease", lease_name(id));
    if (const auto* lease = state_.find(id)) {
      add_request(lease->request);
      add("Team", lease->team);
    }
  }
  void add_plan(PlanId id) {
    add("Plan", plan_name(id));
    if (const auto* plan = state_.find(id))
      for (const auto& planned : plan->gpus) add_gpu(planned.gpu);
  }
  void add_applying() {
    if (const auto* plan = state_.applying()) add("Plan", plan_name(plan->id));
  }
  void add_moving(LeaseId id) {
    add_lease(id);
    add_applying();
    if (const auto* lease = state_.find(id))
      for (const auto& slice : request::held_by(*lease)) add_gpu(slice.gpu);
  }
  void add_gpu(GpuIndex gpu) {
    if (state_.fleet().gpu(gpu).node.valid()) add("Gpu", state_.fleet().gpu_name(gpu));
  }
  void add_gpus(NodeIndex node) {
    for (const auto gpu : state_.fleet().node(node).gpus) add_gpu(gpu);
  }
  void add_node(NodeIndex node) {
    if (state_.fleet().node(node).name.empty()) return;
    add("Node", state_.fleet().node(node).name);
    add_gpus(node);
  }

  const State& state_;
  std::vector<ObjectRef> refs_;
};

}  // namespace

std::vector<ObjectRef> touched_by(const State& state, const Event& event) {
  Touched touched(state);
  std::visit(touched, event);
  return touched.take();
}

}  // namespace tessera::control
