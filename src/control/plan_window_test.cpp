#include <algorithm>

#include "control/plan_world.h"

namespace tessera::control {
namespace {

using request::LeaseState;
using namespace std::chrono_literals;

/// Time begins on a Thursday at 00:00.
class PlanWindowTest : public PlanWorld {
 protected:
  static base::WeekWindow window(const std::string& text) {
    return base::parse_week_window(text).value();
  }
  /// To when the next thing is due, and what is due is done.
  void wait() {
    ASSERT_TRUE(state_.next_due());
    now_ = *state_.next_due();
    ok(Tick{});
  }
  /// A lease on this node, whatever else is free.
  RequestId submit_on(const std::string& node) {
    for (const auto& other : state_.fleet().nodes()) ok(Cordon{other.name, other.name != node});
    const auto id = submit(9);
    for (const auto& other : state_.fleet().nodes()) ok(Cordon{other.name, false});
    return id;
  }
  static Plan both(Plan plan, const Plan& more) {
    for (const auto& planned : more.gpus)
      if (std::ranges::find(plan.gpus, planned.gpu, &PlannedGpu::gpu) == plan.gpus.end())
        plan.gpus.push_back(planned);
    std::ranges::sort(plan.gpus, {}, &PlannedGpu::gpu);
    plan.moves.insert(plan.moves.end(), more.moves.begin(), more.moves.end());
    return plan;
  }
};

TEST_F(PlanWindowTest, APlanWaitsForItsWindowAndHoldsNothingBack) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving, window("Thu 02:00-06:00")});
  EXPECT_EQ(plan(moving).state, PlanState::kScheduled);
  EXPECT_EQ(plan(moving).opens, now_ + 2h);
  EXPECT_EQ(plan(moving).closes, now_ + 6h);
  EXPECT_TRUE(open("node-2/0"));
  EXPECT_EQ(state_.next_due(), now_ + 2h);
  state_ = state_.clone();
  wait();
  EXPECT_EQ(now_, Instant{} + 2h);
  EXPECT_EQ(plan(moving).state, PlanState::kApplying);
  EXPECT_TRUE(lease_of(id).arriving);
  work_all();
  work_all();
  EXPECT_EQ(plan(moving).state, PlanState::kDone);
  EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-2/0"));
}

TEST_F(PlanWindowTest, AWindowThatIsOpenLetsThePlanStartAtOnce) {
  const auto id = submit(9);
  work_all();
  now_ += 3h;
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving, window("Thu 02:00-06:00")});
  EXPECT_EQ(plan(moving).state, PlanState::kApplying);
}

TEST_F(PlanWindowTest, APlanThatStartsBeforeItsWindowHasNone) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving, window("Thu 02:00-06:00")});
  ok(ApplyPlan{moving});
  EXPECT_EQ(plan(moving).state, PlanState::kApplying);
  EXPECT_EQ(plan(moving).closes, Instant{});
  EXPECT_EQ(refused(ApplyPlan{moving, window("Thu 02:00-06:00")}), Reason::kWrongState);
}

TEST_F(PlanWindowTest, NoMoveBeginsAfterTheWindowHasClosed) {
  const auto first = submit(9), second = submit(9);
  work_all();
  auto moves = both(move_of(first, "node-2/0"), move_of(second, "node-2/0"));
  ASSERT_NE(moves.moves[0].to_instance, moves.moves[1].to_instance);
  moves.max_parallel = 1;
  const auto moving = put(moves);
  ok(ApplyPlan{moving, window("Thu 00:00-00:10")});
  EXPECT_TRUE(lease_of(first).arriving);
  EXPECT_EQ(state_.next_due(), now_ + 10min);
  wait();
  EXPECT_EQ(plan(moving).state, PlanState::kApplying) << "one move is under way";
  EXPECT_EQ(plan(moving).moves[1].phase, MovePhase::kSkipped);
  EXPECT_EQ(state_.next_due(), plan(moving).progressed + kPlanPatience);
  work_all();
  work_all();
  EXPECT_EQ(plan(moving).state, PlanState::kAborted);
  EXPECT_EQ(plan(moving).reason, Reason::kWindowClosed);
  EXPECT_NE(plan(moving).message.find("1 of 2 moves"), std::string::npos);
  EXPECT_EQ(lease_of(first).slices.front().gpu, gpu("node-2/0"));
  EXPECT_EQ(lease_of(second).state, LeaseState::kActive);
  EXPECT_FALSE(lease_of(second).arriving);
}

TEST_F(PlanWindowTest, WhatIsDoneWhenTheWindowClosesIsDone) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving, window("Thu 00:00-00:10")});
  now_ += 10min;
  work_all();
  work_all();
  EXPECT_EQ(plan(moving).state, PlanState::kDone) << "its only move was under way";
}

TEST_F(PlanWindowTest, WhatNoLongerHoldsIsLeftOut) {
  ok(PutNode{"node-3", "h100", 2, {}, {}});
  work("node-3");
  const auto stays = submit_on("node-1"), goes = submit_on("node-3");
  work_all();
  work("node-3");
  const auto name = [&](RequestId id) {
    return state_.fleet().gpu_name(lease_of(id).slices.front().gpu);
  };
  const auto to = name(goes) == "node-3/0" ? "node-3/1" : "node-3/0";
  const auto from = name(goes);
  const auto moving = put(both(move_of(stays, "node-2/0"), move_of(goes, to)));
  ok(ApplyPlan{moving, window("Thu 02:00-06:00")});
  ok(Release{lease_of(goes).id});
  work("node-3");
  wait();
  EXPECT_EQ(plan(moving).state, PlanState::kApplying);
  EXPECT_EQ(plan(moving).moves[1].phase, MovePhase::kSkipped);
  EXPECT_TRUE(open(from));
  EXPECT_TRUE(open(to));
  EXPECT_FALSE(open("node-2/0"));
  work_all();
  work_all();
  EXPECT_EQ(plan(moving).state, PlanState::kDone);
  EXPECT_EQ(name(stays), "node-2/0");
}

TEST_F(PlanWindowTest, APlanOfWhichNothingHoldsIsWithdrawn) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving, window("Thu 02:00-06:00")});
  ok(Release{lease_of(id).id});
  work_all();
  wait();
  EXPECT_EQ(plan(moving).state, PlanState::kAborted);
  EXPECT_EQ(plan(moving).reason, Reason::kPlanOutdated);
}

TEST_F(PlanWindowTest, OneAfterTheOtherAndNoneAfterItsWindow) {
  const auto id = submit(9), other = submit(9);
  work_all();
  const auto first = put(move_of(id, "node-2/0"));
  const auto second = put(move_of(other, "node-1/1"));
  ok(ApplyPlan{first, window("Thu 00:00-01:00")});
  ok(ApplyPlan{second, window("Thu 00:00-00:10")});
  EXPECT_EQ(plan(first).state, PlanState::kApplying);
  EXPECT_EQ(plan(second).state, PlanState::kScheduled);
  wait();
  EXPECT_EQ(now_, Instant{} + 10min);
  EXPECT_EQ(plan(second).state, PlanState::kAborted);
  EXPECT_EQ(plan(second).reason, Reason::kWindowClosed);
  EXPECT_EQ(plan(first).state, PlanState::kApplying);
}

TEST_F(PlanWindowTest, AScheduledPlanCanBeWithdrawnOrPutOff) {
  const auto id = submit(9);
  work_all();
  const auto moving = put(move_of(id, "node-2/0"));
  ok(ApplyPlan{moving, window("Thu 02:00-06:00")});
  ok(ApplyPlan{moving, window("Fri 02:00-06:00")});
  EXPECT_EQ(plan(moving).opens, now_ + 26h);
  ok(AbortPlan{moving});
  EXPECT_EQ(plan(moving).state, PlanState::kAborted);
  EXPECT_EQ(state_.next_due(), lease_of(id).expires - state_.find_tier("production")->notice);
  EXPECT_EQ(refused(ApplyPlan{moving, window("Fri 02:00-06:00")}), Reason::kWrongState);
}

TEST_F(PlanWindowTest, SoManyMayWaitAndAreKept) {
  const auto id = submit(9);
  work_all();
  std::vector<PlanId> plans;
  for (std::size_t i = 0; i < kPlansScheduled; ++i) {
    plans.push_back(put(move_of(id, "node-2/0")));
    ok(ApplyPlan{plans.back(), window("Sat 02:00-06:00")});
  }
  const auto more = put(move_of(id, "node-2/0"));
  EXPECT_EQ(refused(ApplyPlan{more, window("Sat 02:00-06:00")}), Reason::kConflict);
  for (std::size_t i = 0; i < 2 * kPlansKept; ++i) put(move_of(id, "node-2/0"));
  for (const auto each : plans) EXPECT_NE(state_.find(each), nullptr);
}

TEST_F(PlanWindowTest, WhoeverWaitsForItIsTold) {
  const auto kept = submit(9);
  work_all();
  submit(76);
  submit(76);
  const auto large = submit(76);
  work_all();
  ASSERT_EQ(request(large).state, request::RequestState::kQueued);
  Plan room{.gpus = {planned(lease_of(kept).slices.front().gpu)}};
  room.grants = {{large, room.gpus.front().gpu, 0}};
  ok(ApplyPlan{put(room), window("Sat 02:00-06:00")});
  const auto hints = explain(state_, request(large)).hints;
  ASSERT_FALSE(hints.empty());
  EXPECT_NE(hints.back().find("1970-01-03T02:00:00Z"), std::string::npos) << hints.back();
}

}  // namespace
}  // namespace tessera::control
