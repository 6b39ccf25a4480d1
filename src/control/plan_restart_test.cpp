#include "control/plan_world.h"

namespace tessera::control {
namespace {

using fleet::SliceStatus;
using request::LeaseState;
using request::RequestState;
using namespace std::chrono_literals;

/// Leases that a plan cannot move by make before break.
class PlanRestartTest : public PlanWorld {
 protected:
  static constexpr auto kNotice = 15min;  ///< of the tier

  /// The request's lease is stopped, and started in the same place of another GPU.
  Plan restart_of(RequestId id, const std::string& to) {
    auto plan = move_of(id, to);
    auto stop = plan.moves.front();
    plan.moves.front().kind = MoveKind::kStart;
    stop.kind = MoveKind::kStop;
    stop.to = stop.from;
    plan.moves.insert(plan.moves.begin(), stop);
    plan.figures.forced_restarts = 1;
    return plan;
  }
  PlanId applied(RequestId id, const std::string& to) {
    const auto restart = put(restart_of(id, to));
    ok(ApplyPlan{.plan = restart, .allow_restarts = true});
    return restart;
  }
  RequestId active() {
    const auto id = submit(9);
    work_all();
    EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
    return id;
  }
  void pass(base::Duration time) {
    now_ += time;
    ok(Tick{});
  }
  bool happened(std::string_view name) const {
    for (const auto& record : records_)
      for (const auto& event : record.events)
        if (name_of(event) == name) return true;
    return false;
  }
  MovePhase stop_phase(PlanId id) { return plan(id).moves.front().phase; }
  MovePhase start_phase(PlanId id) { return plan(id).moves.back().phase; }
};

TEST_F(PlanRestartTest, ItTakesConsent) {
  const auto restart = put(restart_of(active(), "node-2/0"));
  EXPECT_EQ(refused(ApplyPlan{restart}), Reason::kConflict);
  EXPECT_EQ(plan(restart).state, PlanState::kProposed);
  ok(ApplyPlan{.plan = restart, .allow_restarts = true});
  EXPECT_TRUE(plan(restart).may_restart);
}

TEST_F(PlanRestartTest, TheHolderIsToldAndKeepsItsSliceForTheNotice) {
  const auto id = active();
  const auto old = request(id).lease;
  const auto restart = applied(id, "node-2/0");
  EXPECT_TRUE(happened("RestartAnnounced"));
  EXPECT_EQ(plan(restart).moves.front().not_before, now_ + kNotice);
  EXPECT_EQ(state_.next_due(), now_ + kNotice);
  pass(kNotice - 1s);
  EXPECT_EQ(state_.find(old)->state, LeaseState::kActive);

  pass(1s);
  EXPECT_EQ(state_.find(old)->state, LeaseState::kReleasing);
  EXPECT_EQ(state_.find(old)->end_reason, Reason::kPreempted);
  EXPECT_EQ(request(id).state, RequestState::kQueued);
  EXPECT_EQ(stop_phase(restart), MovePhase::kSwitched);
}

TEST_F(PlanRestartTest, ItIsPlacedWhereThePlanHasItAndKeepsItsPromise) {
  const auto id = active();
  ok(Renew{request(id).lease, 40h});
  const auto promised_until = lease_of(id).expires;
  const auto restart = applied(id, "node-2/0");
  pass(kNotice);
  work_all();
  EXPECT_EQ(request(id).state, RequestState::kProvisioning);
  EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-2/0"));
  EXPECT_EQ(start_phase(restart), MovePhase::kPreparing);
  EXPECT_EQ(plan(restart).state, PlanState::kApplying);
  work_all();
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(lease_of(id).expires, promised_until);
  EXPECT_EQ(start_phase(restart), MovePhase::kDone);
  EXPECT_EQ(plan(restart).state, PlanState::kDone);
  EXPECT_TRUE(open("node-1/0") && open("node-2/0"));
}

TEST_F(PlanRestartTest, ItsQuotaIsKeptForIt) {
  const auto id = active();
  const auto& model = state_.catalog().model(*state_.catalog().find("H100-80GB-SXM5"));
  const auto cost = fleet::cost_of(lease_of(id).slices.front().shape, model);
  ok(PutTeam{{.name = "vision", .quotas = {{.pool = "h100", .limit = cost}}}});
  const auto other = submit(9);
  EXPECT_EQ(request(other).state, RequestState::kQueued);
  // A move on the place that it is to get keeps it waiting while its old slice is clean already.
  const auto pool = *state_.fleet().find_pool("h100");
  applied(id, "node-2/0");
  pass(kNotice);
  EXPECT_EQ(state_.usage("vision", pool), cost);
  work_all();
  EXPECT_EQ(request(id).state, RequestState::kProvisioning);
  EXPECT_EQ(request(other).state, RequestState::kQueued);
  EXPECT_EQ(state_.usage("vision", pool), cost);
}

TEST_F(PlanRestartTest, AbortedInBetweenItGetsASliceBack) {
  const auto id = active();
  const auto restart = applied(id, "node-2/0");
  pass(kNotice);
  ok(Cordon{"node-2", true});
  EXPECT_EQ(plan(restart).state, PlanState::kApplying) << "it turns back first";
  EXPECT_EQ(plan(restart).turns, PlanState::kStopped);
  EXPECT_FALSE(open("node-1/0")) << "the old place is kept for it";
  work_all();
  EXPECT_EQ(request(id).state, RequestState::kProvisioning);
  EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-1/0"));
  work_all();
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(plan(restart).state, PlanState::kStopped);
  EXPECT_EQ(plan(restart).reason, Reason::kConflict);
}

TEST_F(PlanRestartTest, WhereTheNewSliceCannotBeMadeItGoesBack) {
  const auto id = active();
  const auto restart = applied(id, "node-2/0");
  pass(kNotice);
  work("node-1");
  ASSERT_EQ(lease_of(id).slices.front().gpu, gpu("node-2/0"));
  work("node-2", SliceStatus::kFailed);
  EXPECT_EQ(plan(restart).turns, PlanState::kStopped);
  EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-1/0"));
  work_all();
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(plan(restart).state, PlanState::kStopped);
  EXPECT_EQ(plan(restart).reason, Reason::kDeviceFailed);
}

TEST_F(PlanRestartTest, WhoeverWithdrawsItEndsTheRestart) {
  const auto id = active();
  const auto restart = applied(id, "node-2/0");
  pass(kNotice);
  ok(Cancel{id});
  EXPECT_EQ(start_phase(restart), MovePhase::kSkipped);
  work_all();
  EXPECT_EQ(plan(restart).state, PlanState::kDone);
  EXPECT_EQ(request(id).state, RequestState::kCancelled);
}

TEST_F(PlanRestartTest, ALeaseThatEndsBeforeIsNotRestarted) {
  const auto id = active();
  const auto restart = applied(id, "node-2/0");
  ok(Release{request(id).lease});
  EXPECT_EQ(stop_phase(restart), MovePhase::kSkipped);
  EXPECT_EQ(start_phase(restart), MovePhase::kSkipped);
  EXPECT_EQ(plan(restart).state, PlanState::kDone);
}

TEST_F(PlanRestartTest, AStateThatIsReadBackGoesOn) {
  const auto id = active();
  const auto restart = applied(id, "node-2/0");
  pass(kNotice);
  work("node-1");
  state_ = state_.clone();
  work_all();
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(plan(restart).state, PlanState::kDone);
}

TEST_F(PlanRestartTest, ATierThatIsNotMovableKeepsItsLeases) {
  const auto id = active();
  const auto restart = applied(id, "node-2/0");
  auto tier = *state_.find_tier("production");
  tier.movable = false;
  ok(PutTier{tier});
  EXPECT_EQ(plan(restart).state, PlanState::kStopped);
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
}

TEST_F(PlanRestartTest, NotInItsLeastTime) {
  const auto id = active();
  const auto restart = applied(id, "node-2/0");
  auto tier = *state_.find_tier("production");
  tier.min_runtime = 3h;
  ok(PutTier{tier});
  EXPECT_EQ(plan(restart).moves.front().not_before, lease_of(id).activated + 3h);
  pass(2h);
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(plan(restart).state, PlanState::kApplying) << "patience begins when it may be stopped";
  pass(1h);
  EXPECT_EQ(stop_phase(restart), MovePhase::kSwitched);
}

TEST_F(PlanRestartTest, WhatIsStoppedWhenTheWindowClosesGetsItsSlice) {
  const auto id = active();
  const auto restart = put(restart_of(id, "node-2/0"));
  const auto opens = base::week_time_of(now_);
  ok(ApplyPlan{restart, base::WeekWindow{opens, 16min}, true});
  ok(Tick{});
  pass(kNotice);
  ASSERT_EQ(stop_phase(restart), MovePhase::kSwitched);
  pass(1min);
  work_all();
  work_all();
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(plan(restart).state, PlanState::kDone);
}

TEST_F(PlanRestartTest, APlanSaysOfEveryLeaseThatItStopsWhereItStarts) {
  auto plan = restart_of(active(), "node-2/0");
  plan.moves.pop_back();
  EXPECT_EQ(refused(PutPlan{plan}), Reason::kInvalidLayout);
}

}  // namespace
}  // namespace tessera::control
