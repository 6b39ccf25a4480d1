#pragma once

#include <string>
#include <utility>

#include "control/test_steps.h"

/// For tests of plans: a pool of H100s on two nodes whose leases may be moved, agents that do what
/// they are told when the test says so.
namespace tessera::control {

class PlanWorld : public SteppedState {
 protected:
  PlanWorld() {
    for (auto tier : tenancy::default_tiers()) {
      tier.movable = true;
      ok(PutTier{tier});
    }
    using catalog::Technology;
    ok(PutPool{{.name = "h100",
                .model = *state_.catalog().find("H100-80GB-SXM5"),
                .tiers = {"production"},
                .technologies = {Technology::kMig, Technology::kWhole}}});
    ok(PutTeam{{.name = "vision"}});
    ok(PutNode{"node-1", "h100", 2, {}, {}});
    ok(PutNode{"node-2", "h100", 1, {}, {}});
    work("node-1");
    work("node-2");
  }

  /// The node's agent does at once what the target says, or fails at what it has to make.
  void work(const std::string& node, fleet::SliceStatus made = fleet::SliceStatus::kReady) {
    const auto target = target_of(state_, *state_.fleet().find_node(node));
    fleet::NodeReport report{.node = node, .boot = "boot-1"};
    for (const auto& gpu : target.gpus) {
      fleet::GpuReport said{.number = gpu.number,
                            .uuid = "GPU-" + node + "-" + std::to_string(gpu.number)};
      for (const auto& slice : gpu.slices) {
        const auto status = slice.phase == fleet::SlicePhase::kPreparing ? made
                            : slice.phase == fleet::SlicePhase::kInUse ? fleet::SliceStatus::kReady
                                                                       : fleet::SliceStatus::kClean;
        said.slices.push_back({slice.generation, status,
                               "MIG-" + node + "-" + std::to_string(gpu.number) + "-" +
                                   std::to_string(slice.generation),
                               "the driver refused"});
      }
      report.gpus.push_back(std::move(said));
    }
    ok(Report{report}, {"agent", tenancy::Role::kAgent, node});
  }
  void work_all() {
    work("node-1");
    work("node-2");
  }

  using SteppedState::submit;
  RequestId submit(std::int64_t gib) {
    return submit({.memory = base::MiB(gib * 1024),
                   .isolation = catalog::Isolation::kPartition,
                   .duration = std::chrono::hours(8)});
  }
  GpuIndex gpu(const std::string& name) { return *state_.fleet().find_gpu(name); }
  bool open(const std::string& name) { return state_.index().open(gpu(name)); }
  const Plan& plan(PlanId id) { return *state_.find(id); }

  PlannedGpu planned(GpuIndex index) {
    PlannedGpu planned{.gpu = index};
    for (const auto& slice : state_.fleet().gpu(index).slices)
      if (slice.phase != fleet::SlicePhase::kIdle) planned.held.push_back(slice.generation);
    return planned;
  }
  /// A plan that moves a request's lease to the same place of another GPU.
  Plan move_of(RequestId id, const std::string& to) {
    const auto& lease = lease_of(id);
    const auto& at = lease.slices.front();
    const auto instance = std::get<fleet::MigSlice>(at.shape).instance;
    Plan plan{.gpus = {planned(at.gpu), planned(gpu(to))},
              .moves = {{.lease = lease.id,
                         .from = at.gpu,
                         .from_instance = instance,
                         .to = gpu(to),
                         .to_instance = instance}}};
    if (plan.gpus[1].gpu < plan.gpus[0].gpu) std::swap(plan.gpus[0], plan.gpus[1]);
    return plan;
  }
  PlanId put(const Plan& plan) {
    const auto id = state_.next_plan();
    ok(PutPlan{plan});
    return id;
  }
};

}  // namespace tessera::control
