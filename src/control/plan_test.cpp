#include "control/plan_world.h"

namespace tessera::control {
namespace {

using fleet::SlicePhase;
using fleet::SliceStatus;
using request::LeaseState;
using request::RequestState;
using namespace std::chrono_literals;

using PlanTest = PlanWorld;

TEST_F(PlanTest, ALeaseMovesByMakeBeforeBreak) {
  const auto id = submit(9);
  work_all();
  const auto old = lease_of(id).slices.front();
  const auto before = state_.fleet().gpu(old.gpu).find(old.generation)->device;
  const auto moving = put(move_of(id, "node-2/0"));
  EXPECT_EQ(plan(moving).state, PlanState::kProposed);
  EXPECT_TRUE(open("node-2/0"));

  ok(ApplyPlan{moving});
  EXPECT_FALSE(open("node-2/0"));
  ASSERT_TRUE(lease_of(id).arriving);
  EXPECT_EQ(lease_of(id).slices.front().generation, old.generation);
  EXPECT_EQ(state_.fleet().gpu(old.gpu).find(old.generation)->phase, SlicePhase::kInUse);

  work("node-2");
  EXPECT_FALSE(lease_of(id).arriving);
  EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-2/0"));
  EXPECT_EQ(lease_of(id).node, *state_.fleet().find_node("node-2"));
  EXPECT_EQ(lease_of(id).moved->before, before);
  EXPECT_EQ(lease_of(id).moved->after.substr(0, 12), "MIG-node-2-0");
  EXPECT_EQ(state_.fleet().gpu(old.gpu).find(old.generation)->phase, SlicePhase::kScrubbing);
  EXPECT_EQ(request(id).state, RequestState::kActive);
  EXPECT_EQ(plan(moving).state, PlanState::kApplying);

  work("node-1");
  EXPECT_EQ(plan(moving).state, PlanState::kDone);
  EXPECT_TRUE(lease_of(id).leaving.empty());
  EXPECT_TRUE(open("node-1/0"));
  EXPECT_TRUE(open("node-2/0"));
}

TEST_F(PlanTest, WhatCannotBeMadeStopsThePlanAndLeavesTheLease) {
  const auto id = submit(9);
  work_all();
  const auto old = lease_of(id).slices.front();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving});
  work("node-2", SliceStatus::kFailed);
  EXPECT_EQ(plan(moving).state, PlanState::kStopped);
  EXPECT_EQ(plan(moving).reason, Reason::kDeviceFailed);
  EXPECT_NE(plan(moving).message.find("the driver refused"), std::string::npos);
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(lease_of(id).slices.front().generation, old.generation);
  EXPECT_TRUE(open("node-1/0"));
  EXPECT_TRUE(open("node-2/0")) << "a partition failed, not the GPU";
  work("node-2");
  EXPECT_TRUE(lease_of(id).leaving.empty()) << "rolled back";
  EXPECT_TRUE(state_.fleet().gpu(gpu("node-2/0")).slices.empty());
}

TEST_F(PlanTest, AReleaseInTheMiddleEndsTheLeaseAndNotThePlan) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving});
  ok(Release{lease_of(id).id});
  EXPECT_EQ(plan(moving).state, PlanState::kDone);
  EXPECT_EQ(plan(moving).moves.front().phase, MovePhase::kSkipped);
  work("node-1");
  EXPECT_EQ(lease_of(id).state, LeaseState::kReleasing) << "what was prepared is not yet clean";
  work("node-2");
  EXPECT_EQ(lease_of(id).state, LeaseState::kEnded);
  EXPECT_EQ(request(id).state, RequestState::kReleased);
}

TEST_F(PlanTest, AnAbortTakesBackWhatIsPrepared) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving});
  ok(AbortPlan{moving});
  EXPECT_EQ(plan(moving).state, PlanState::kAborted);
  EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-1/0"));
  EXPECT_TRUE(open("node-2/0"));
  work_all();
  EXPECT_TRUE(lease_of(id).leaving.empty());
  ok(AbortPlan{moving});
  EXPECT_EQ(refused(ApplyPlan{moving}), Reason::kWrongState);
}

TEST_F(PlanTest, APlanIsOutdatedOnceALeaseHasComeOrGone) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  submit(9);
  EXPECT_EQ(refused(ApplyPlan{moving}), Reason::kPlanOutdated);
  EXPECT_EQ(plan(moving).state, PlanState::kProposed);
  EXPECT_EQ(refused(PutPlan{plan(moving)}), Reason::kPlanOutdated);
}

TEST_F(PlanTest, ATierThatIsNotMovableKeepsItsLeasesWhereTheyAre) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  auto tier = *state_.find_tier("production");
  tier.movable = false;
  ok(PutTier{tier});
  EXPECT_EQ(refused(ApplyPlan{moving}), Reason::kPlanOutdated);
}

TEST_F(PlanTest, ALostNodeStopsThePlan) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving});
  ok(NodeSilent{"node-2"});
  EXPECT_EQ(plan(moving).state, PlanState::kStopped);
  EXPECT_EQ(plan(moving).reason, Reason::kNodesAway);
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_FALSE(lease_of(id).arriving);
}

TEST_F(PlanTest, ANodeThatIsGoneTakesTheMoveWithIt) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving});
  ok(DeleteNode{"node-2", true});
  EXPECT_EQ(plan(moving).state, PlanState::kStopped);
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_TRUE(lease_of(id).leaving.empty());

  ok(PutNode{"node-2", "h100", 1, {}, {}});
  work("node-2");
  const auto again = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{again});
  ok(DeleteNode{"node-1", true});
  EXPECT_EQ(plan(again).moves.front().phase, MovePhase::kSkipped) << "its lease is over";
  EXPECT_EQ(plan(again).state, PlanState::kDone);
  EXPECT_NE(request(id).lease, fleet::LeaseId(1)) << "the request is granted anew elsewhere";
}

TEST_F(PlanTest, APlanThatStandsStillIsStopped) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving});
  ASSERT_TRUE(state_.next_due());
  EXPECT_EQ(*state_.next_due(), now_ + kPlanPatience);
  now_ += kPlanPatience;
  ok(Tick{});
  EXPECT_EQ(plan(moving).state, PlanState::kStopped);
}

TEST_F(PlanTest, OnePlanAtATimeAndOnlyOperatorsPlan) {
  const auto id = submit(9);
  work_all();
  const auto first = put(move_of(id, "node-2/0"));
  const auto second = put(move_of(id, "node-1/1"));
  ok(ApplyPlan{first});
  ok(ApplyPlan{first});
  EXPECT_EQ(refused(ApplyPlan{second}), Reason::kConflict);
  const auto record = run(AbortPlan{first}, {"ada", tenancy::Role::kMember, "vision"});
  EXPECT_EQ(record.error().reason, Reason::kForbidden);
  EXPECT_EQ(refused(ApplyPlan{PlanId(99)}), Reason::kUnknownObject);
}

TEST_F(PlanTest, AStateThatIsReadBackGoesOnWithThePlan) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving});
  state_ = state_.clone();
  ASSERT_NE(state_.applying(), nullptr);
  EXPECT_FALSE(open("node-2/0"));
  work_all();
  work_all();
  EXPECT_EQ(plan(moving).state, PlanState::kDone);
}

}  // namespace
}  // namespace tessera::control
