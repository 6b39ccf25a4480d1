#include "control/plan_world.h"

namespace tessera::control {
namespace {

using fleet::SliceStatus;
using request::LeaseState;
using request::RequestState;
using namespace std::chrono_literals;

/// Two leases that are to change places, with room for neither anywhere else.
class PlanRestartTest : public PlanWorld {
 protected:
  static constexpr auto kNotice = 15min;  ///< of the tier

  PlanRestartTest() { ok(PutTeam{{.name = "speech"}}); }

  /// A request of vision with a lease on node-1/0; one of speech is on node-2/0.
  RequestId active() {
    std::vector<RequestId> fillers;
    for (int i = 0; i < 3; ++i) fillers.push_back(submit(70, "speech"));
    work_all();
    release_at(fillers, "node-1/0");
    const auto id = submit(9, "vision");
    release_at(fillers, "node-2/0");
    std::vector<RequestId> others;
    do {
      others.push_back(submit(9, "speech"));
      work_all();
    } while (lease_of(others.back()).slices.front().gpu != gpu("node-2/0"));
    other_ = others.back();
    release_at(others, "node-1/0");
    EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-1/0"));
    return id;
  }
  using PlanWorld::submit;
  RequestId submit(std::int64_t gib, const std::string& team) {
    return SteppedState::submit({.memory = base::MiB(gib * 1024),
                                 .isolation = catalog::Isolation::kPartition,
                                 .duration = 8h},
                                team);
  }
  void release_at(const std::vector<RequestId>& ids, const std::string& where) {
    for (const auto id : ids)
      if (lease_of(id).slices.front().gpu == gpu(where)) ok(Release{request(id).lease});
    work_all();
  }

  /// The request's lease is stopped, the other takes its place, and it starts in the other's.
  Plan swap_of(RequestId id) {
    auto plan = move_of(other_, "node-1/0");
    const auto& at = lease_of(id).slices.front();
    auto& move = plan.moves.front();
    move.to_instance = std::get<fleet::MigSlice>(at.shape).instance;
    PlannedMove stop{.lease = lease_of(id).id,
                     .from = at.gpu,
                     .from_instance = move.to_instance,
                     .to = at.gpu,
                     .to_instance = move.to_instance,
                     .kind = MoveKind::kStop};
    auto start = stop;
    start.kind = MoveKind::kStart;
    start.to = move.from;
    start.to_instance = move.from_instance;
    plan.moves = {stop, move, start};
    plan.figures.forced_restarts = 1;
    return plan;
  }
  PlanId applied(RequestId id) {
    const auto swap = put(swap_of(id));
    ok(ApplyPlan{.plan = swap, .allow_restarts = true});
    return swap;
  }
  /// A request whose lease the plan has stopped, after its notice.
  struct Stopped {
    RequestId request;
    PlanId plan;
  };
  Stopped stopped() {
    const auto id = active();
    const auto swap = applied(id);
    pass(kNotice);
    return {id, swap};
  }
  void work_to_the_end() {
    for (int rounds = 0; rounds < 12 && state_.applying() != nullptr; ++rounds) work_all();
    work_all();
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

  RequestId other_;
};

TEST_F(PlanRestartTest, ItTakesConsent) {
  const auto swap = put(swap_of(active()));
  EXPECT_EQ(refused(ApplyPlan{swap}), Reason::kConflict);
  EXPECT_EQ(plan(swap).state, PlanState::kProposed);
  ok(ApplyPlan{.plan = swap, .allow_restarts = true});
  EXPECT_TRUE(plan(swap).may_restart);
}

TEST_F(PlanRestartTest, TheHolderIsToldAndKeepsItsSliceForTheNotice) {
  const auto id = active();
  const auto old = request(id).lease;
  const auto swap = applied(id);
  EXPECT_TRUE(happened("RestartAnnounced"));
  EXPECT_EQ(plan(swap).moves.front().not_before, now_ + kNotice);
  EXPECT_EQ(state_.next_due(), now_ + kNotice);
  pass(kNotice - 1s);
  EXPECT_EQ(state_.find(old)->state, LeaseState::kActive);

  pass(1s);
  EXPECT_EQ(state_.find(old)->state, LeaseState::kReleasing);
  EXPECT_EQ(state_.find(old)->end_reason, Reason::kPreempted);
  EXPECT_EQ(request(id).state, RequestState::kQueued);
  EXPECT_EQ(stop_phase(swap), MovePhase::kSwitched);
}

TEST_F(PlanRestartTest, ItIsPlacedWhereThePlanHasItAndKeepsItsPromise) {
  const auto id = active();
  ok(Renew{request(id).lease, 40h});
  const auto promised_until = lease_of(id).expires;
  const auto swap = applied(id);
  pass(kNotice);
  while (request(id).state == RequestState::kQueued) work("node-1"), work("node-2");
  EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-2/0"));
  EXPECT_EQ(lease_of(other_).slices.front().gpu, gpu("node-1/0"));
  EXPECT_EQ(start_phase(swap), MovePhase::kPreparing);
  EXPECT_EQ(plan(swap).state, PlanState::kApplying) << "not before it is active";
  work_to_the_end();
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(lease_of(id).expires, promised_until);
  EXPECT_EQ(plan(swap).moves.back().anew, lease_of(id).id);
  EXPECT_EQ(plan(swap).state, PlanState::kDone);
  EXPECT_TRUE(open("node-1/0") && open("node-2/0"));
}

TEST_F(PlanRestartTest, ItsQuotaIsKeptForIt) {
  const auto id = active();
  const auto pool = *state_.fleet().find_pool("h100");
  const auto cost = state_.usage("vision", pool);
  ok(PutTeam{{.name = "vision", .quotas = {{"h100", {.limit = cost}}}}});
  const auto waits = submit(9, "vision");
  ASSERT_EQ(request(waits).state, RequestState::kQueued);
  applied(id);
  pass(kNotice);
  while (request(id).state == RequestState::kQueued) {
    EXPECT_EQ(state_.usage("vision", pool), cost);
    EXPECT_EQ(request(waits).state, RequestState::kQueued);
    work("node-1"), work("node-2");
  }
  EXPECT_EQ(state_.usage("vision", pool), cost);
  work_to_the_end();
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(request(waits).state, RequestState::kQueued);
}

TEST_F(PlanRestartTest, APlanThatStopsInBetweenGivesTheSliceBack) {
  const auto [id, swap] = stopped();
  work("node-1");
  ASSERT_TRUE(lease_of(other_).arriving) << "it is on its way to the place";
  ok(Cordon{"node-2", true});
  EXPECT_EQ(plan(swap).state, PlanState::kApplying) << "it turns back first";
  EXPECT_EQ(plan(swap).turns, PlanState::kStopped);
  EXPECT_FALSE(open("node-1/0")) << "the old place is kept for it";
  work("node-1");
  EXPECT_EQ(request(id).state, RequestState::kProvisioning);
  EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-1/0"));
  work_to_the_end();
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(plan(swap).state, PlanState::kStopped);
  EXPECT_EQ(plan(swap).reason, Reason::kConflict);
  EXPECT_EQ(lease_of(other_).slices.front().gpu, gpu("node-2/0"));
}

TEST_F(PlanRestartTest, AnAbortedPlanGivesTheSliceBack) {
  const auto [id, swap] = stopped();
  ok(AbortPlan{swap});
  ok(AbortPlan{swap});
  EXPECT_EQ(plan(swap).state, PlanState::kApplying);
  work_to_the_end();
  EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-1/0"));
  EXPECT_EQ(plan(swap).state, PlanState::kAborted);
  EXPECT_EQ(plan(swap).reason, Reason::kCancelled);
}

TEST_F(PlanRestartTest, WhereTheNewSliceCannotBeMadeItGetsAnotherAllTheSame) {
  const auto [id, swap] = stopped();
  while (request(id).state == RequestState::kQueued) work("node-1"), work("node-2");
  ASSERT_EQ(start_phase(swap), MovePhase::kPreparing);
  work("node-2", SliceStatus::kFailed);
  EXPECT_EQ(plan(swap).state, PlanState::kStopped) << "its old place is taken";
  EXPECT_EQ(plan(swap).reason, Reason::kDeviceFailed);
  work_to_the_end();
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
}

TEST_F(PlanRestartTest, WhoeverWithdrawsItEndsTheRestart) {
  const auto [id, swap] = stopped();
  ok(Cancel{id});
  EXPECT_EQ(start_phase(swap), MovePhase::kSkipped);
  work_to_the_end();
  EXPECT_EQ(plan(swap).state, PlanState::kDone);
  EXPECT_EQ(request(id).state, RequestState::kCancelled);
}

TEST_F(PlanRestartTest, ALeaseThatEndsBeforeIsNotRestarted) {
  const auto id = active();
  const auto swap = applied(id);
  ok(Release{request(id).lease});
  EXPECT_EQ(stop_phase(swap), MovePhase::kSkipped);
  EXPECT_EQ(start_phase(swap), MovePhase::kSkipped);
  work_to_the_end();
  EXPECT_EQ(plan(swap).state, PlanState::kDone);
  EXPECT_EQ(request(id).state, RequestState::kReleased);
}

TEST_F(PlanRestartTest, AStateThatIsReadBackGoesOn) {
  const auto [id, swap] = stopped();
  for (int rounds = 0; rounds < 12 && state_.applying() != nullptr; ++rounds) {
    state_ = state_.clone();
    work(rounds % 2 == 0 ? "node-1" : "node-2");
  }
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(plan(swap).state, PlanState::kDone);
}

TEST_F(PlanRestartTest, ATierThatIsNotMovableKeepsItsLeases) {
  const auto id = active();
  const auto swap = applied(id);
  auto tier = *state_.find_tier("production");
  tier.movable = false;
  ok(PutTier{tier});
  EXPECT_EQ(plan(swap).state, PlanState::kStopped);
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
}

TEST_F(PlanRestartTest, NotInItsLeastTime) {
  const auto id = active();
  const auto swap = applied(id);
  auto tier = *state_.find_tier("production");
  tier.min_runtime = 3h;
  ok(PutTier{tier});
  EXPECT_EQ(plan(swap).moves.front().not_before, lease_of(id).activated + 3h);
  pass(2h);
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(plan(swap).state, PlanState::kApplying) << "patience begins when it may be stopped";
  pass(1h);
  EXPECT_EQ(stop_phase(swap), MovePhase::kSwitched);
}

TEST_F(PlanRestartTest, WhatIsStoppedWhenTheWindowClosesGetsItsSliceBack) {
  const auto id = active();
  const auto swap = put(swap_of(id));
  ok(ApplyPlan{swap, base::WeekWindow{base::week_time_of(now_), 16min}, true});
  ok(Tick{});
  pass(kNotice);
  ASSERT_EQ(stop_phase(swap), MovePhase::kSwitched);
  pass(1min);
  work_to_the_end();
  EXPECT_EQ(lease_of(id).slices.front().gpu, gpu("node-1/0"));
  EXPECT_EQ(lease_of(id).state, LeaseState::kActive);
  EXPECT_EQ(plan(swap).state, PlanState::kAborted);
  EXPECT_EQ(plan(swap).reason, Reason::kWindowClosed);
}

TEST_F(PlanRestartTest, APlanSaysOfEveryLeaseThatItStopsWhereItStarts) {
  auto plan = swap_of(active());
  plan.moves.pop_back();
  EXPECT_EQ(refused(PutPlan{plan}), Reason::kInvalidLayout);
}

}  // namespace
}  // namespace tessera::control
