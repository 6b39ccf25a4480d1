#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "control/invariants.h"
#include "control/step.h"
#include "tenancy/tier.h"

namespace tessera::control {

inline const tenancy::Actor kAdmin{"admin", tenancy::Role::kAdmin, ""};
inline const tenancy::Actor kVision{"ada", tenancy::Role::kMember, "vision"};

/// A state whose time is in the test's hands; every invariant runs after every step.
class SteppedState : public testing::Test {
 protected:
  base::Result<Record> run(const Command& command, const tenancy::Actor& actor = kAdmin) {
    auto record = step(state_, command, actor, now_);
    if (record && !record->events.empty()) records_.push_back(*record);
    if (record)
      for (const auto& invariant : invariants_) {
        const auto broken = invariant->check(state_, *record);
        EXPECT_FALSE(broken) << invariant->name() << ": " << *broken;
      }
    return record;
  }
  Record ok(const Command& command, const tenancy::Actor& actor = kAdmin) {
    auto record = run(command, actor);
    EXPECT_TRUE(record) << base::to_string(record.error());
    return record ? *record : Record{};
  }
  Reason refused(const Command& command, const tenancy::Actor& actor = kAdmin) {
    const auto before = state_.revision();
    const auto record = run(command, actor);
    EXPECT_FALSE(record);
    EXPECT_EQ(state_.revision(), before);
    return record ? Reason::kInternal : record.error().reason;
  }

  RequestId submit(const request::Need& need, const std::string& team = "vision") {
    const auto id = state_.next_request();
    ok(Submit{team, "", need, ""});
    return id;
  }
  const request::Request& request(RequestId id) { return *state_.find(id); }
  const request::Lease& lease_of(RequestId id) { return *state_.find(request(id).lease); }

  State state_{std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in())};
  std::vector<std::unique_ptr<Invariant>> invariants_ = all_invariants();
  std::vector<Record> records_;  ///< all that has happened
  Instant now_{};
};

/// One node of two H100s and two teams.
class StepTest : public SteppedState {
 protected:
  StepTest() {
    for (const auto& tier : tenancy::default_tiers()) ok(PutTier{tier});
    using catalog::Technology;
    ok(PutPool{{.name = "h100",
                .model = *state_.catalog().find("H100-80GB-SXM5"),
                .tiers = {"production", "development"},
                .technologies = {Technology::kTimeSlicing, Technology::kMig, Technology::kWhole}}});
    ok(PutTeam{{.name = "vision"}});
    ok(PutTeam{{.name = "speech"}});
    ok(PutNode{"node-1", "h100", 2, {}, {}});
  }

  /// The agent does at once what the target says, or fails at it.
  void agent_works(fleet::SliceStatus made = fleet::SliceStatus::kReady,
                   const std::string& boot = "boot-1") {
    fleet::NodeReport report{.node = "node-1", .boot = boot};
    const auto target = target_of(state_, *state_.fleet().find_node("node-1"));
    for (const auto& gpu : target.gpus) {
      fleet::GpuReport gpu_report{.number = gpu.number,
                                  .uuid = "GPU-" + std::to_string(gpu.number)};
      for (const auto& slice : gpu.slices) {
        const bool wanted = slice.phase == fleet::SlicePhase::kPreparing ||
                            slice.phase == fleet::SlicePhase::kInUse;
        gpu_report.slices.push_back(
            {slice.generation, wanted ? made : fleet::SliceStatus::kClean, "dev", "detail"});
      }
      report.gpus.push_back(std::move(gpu_report));
    }
    ok(Report{report}, {"agent", tenancy::Role::kAgent, "node-1"});
  }

  struct Said {
    std::uint16_t gpu;
    std::uint64_t generation;
    fleet::SliceStatus status;
  };
  /// The agent says exactly this, entry by entry.
  static fleet::NodeReport report_of(const std::vector<Said>& entries) {
    fleet::NodeReport report{.node = "node-1", .boot = "boot-1"};
    for (const auto& said : entries) {
      if (report.gpus.empty() || report.gpus.back().number != said.gpu)
        report.gpus.push_back({.number = said.gpu});
      report.gpus.back().slices.push_back({said.generation, said.status, "dev", "detail"});
    }
    return report;
  }
  static tenancy::Actor agent() { return {"agent", tenancy::Role::kAgent, "node-1"}; }

  const request::Need small_{.memory = base::MiB(9537),
                             .isolation = catalog::Isolation::kPartition,
                             .duration = std::chrono::hours(8)};
  const request::Need whole_{.isolation = catalog::Isolation::kDedicated,
                             .duration = std::chrono::hours(1)};
};

}  // namespace tessera::control
