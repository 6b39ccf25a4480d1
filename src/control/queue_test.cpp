#include "control/test_steps.h"

/// Who waits, for what, and who is next.
namespace tessera::control {
namespace {

using request::RequestState;
using namespace std::chrono_literals;

class Queue : public StepTest {};

TEST_F(Queue, NothingIsGrantedBeforeTheNodeReports) {
  const auto id = submit(small_);
  EXPECT_EQ(request(id).state, RequestState::kQueued);
  EXPECT_EQ(request(id).reason, Reason::kNodesAway);
  agent_works();
  EXPECT_EQ(request(id).state, RequestState::kProvisioning);
}

TEST_F(Queue, TheQueueIsServedOldestFirstOnceASliceIsClean) {
  agent_works();
  const auto first = submit(whole_), second = submit(whole_);
  const auto third = submit(whole_, "speech"), fourth = submit(whole_);
  EXPECT_EQ(request(third).state, RequestState::kQueued);
  EXPECT_EQ(state_.waiting().position(request(fourth)), 2);
  agent_works();
  ok(Release{request(first).lease});
  EXPECT_EQ(request(third).state, RequestState::kQueued) << "not before the slice is verified free";
  agent_works();
  EXPECT_EQ(request(third).state, RequestState::kProvisioning);
  EXPECT_EQ(request(fourth).state, RequestState::kQueued);
  EXPECT_EQ(request(second).state, RequestState::kActive);
}

TEST_F(Queue, WhoWaitsForWhatCannotBeIsTold) {
  fleet::Pool spare = state_.fleet().pool(fleet::PoolIndex(0));
  spare.name = "spare";
  ok(PutPool{spare});
  ok(PutNode{"node-9", "spare", 1, {}, {}});
  auto need = small_;
  need.pool = "spare";
  const auto named = submit(need);
  auto pair = whole_;
  pair.count = 2;
  const auto two = submit(pair);
  EXPECT_EQ(request(named).reason, Reason::kNodesAway);
  EXPECT_EQ(request(two).reason, Reason::kNodesAway);

  ok(DeleteNode{"node-9"});
  EXPECT_EQ(request(named).reason, Reason::kNeverFits) << "the pool has no nodes";
  ok(DeletePool{"spare"});
  EXPECT_EQ(request(named).state, RequestState::kQueued) << "it keeps its place";
  EXPECT_EQ(request(named).reason, Reason::kUnknownObject);

  tenancy::Team team{.name = "vision"};
  team.quotas["h100"].limit = fleet::Cost{base::kWholeGpu, base::kWholeGpu};
  ok(PutTeam{team});
  EXPECT_EQ(request(two).reason, Reason::kAboveLimit);
  ok(PutTeam{{.name = "vision"}});
  EXPECT_EQ(request(two).reason, Reason::kNodesAway) << "a matter of time again";
  ok(PutPool{spare});
  ok(PutNode{"node-9", "spare", 1, {}, {}});
  EXPECT_EQ(request(named).reason, Reason::kNodesAway);
  agent_works();
  EXPECT_EQ(request(two).state, RequestState::kProvisioning);
}

TEST_F(Queue, OneTeamCannotFillTheQueue) {
  ok(PutTeam{{.name = "vision", .max_waiting = 2}});
  const auto first = submit(small_);
  submit(small_);
  EXPECT_EQ(refused(Submit{"vision", "", small_, ""}), Reason::kQueueFull);
  submit(small_, "speech");
  ok(Cancel{first});
  submit(small_);
  agent_works();
  EXPECT_EQ(state_.waiting_of("vision"), 0);
  EXPECT_EQ(request(submit(small_)).state, RequestState::kProvisioning);
}

TEST_F(Queue, WhoWaitsForApprovalWaitsToo) {
  auto tier = *state_.find_tier("production");
  tier.auto_approval = tenancy::AutoApproval{base::GpuFraction(10'500), 72h};
  ok(PutTier{tier});
  ok(PutTeam{{.name = "vision", .max_waiting = 1}});
  agent_works();
  submit(whole_);
  EXPECT_EQ(refused(Submit{"vision", "", whole_, ""}), Reason::kQueueFull);
  EXPECT_EQ(request(submit(small_)).state, RequestState::kProvisioning)
      << "what is free is had at once";
}

TEST_F(Queue, LargeRequestsWaitForApproval) {
  auto tier = *state_.find_tier("production");
  tier.auto_approval = tenancy::AutoApproval{base::GpuFraction(10'500), 72h};
  ok(PutTier{tier});
  agent_works();
  const auto id = submit(whole_);
  EXPECT_EQ(request(id).state, RequestState::kPendingApproval);
  EXPECT_EQ(refused(Approve{id}, kVision), Reason::kForbidden);
  ok(Approve{id});
  EXPECT_EQ(request(id).state, RequestState::kProvisioning);
  const auto other = submit(whole_);
  ok(Reject{other, "not this week"});
  EXPECT_EQ(request(other).state, RequestState::kRejected);
}

TEST_F(Queue, WhatAPoolOffersAnewIsGrantedAtOnce) {
  auto pool = state_.fleet().pool(fleet::PoolIndex(0));
  const auto all = pool.technologies;
  pool.technologies = {catalog::Technology::kTimeSlicing};
  ok(PutPool{pool});
  agent_works();
  pool.technologies = all;
  ok(PutPool{pool});
  EXPECT_EQ(request(submit(small_)).state, RequestState::kProvisioning);
}

TEST_F(Queue, AWholeGpuIsNoAnswerForASmallNeed) {
  fleet::Pool pool = state_.fleet().pool(fleet::PoolIndex(0));
  pool.name = "h100-whole";
  pool.technologies = {catalog::Technology::kWhole};
  ok(PutPool{pool});
  ok(PutNode{"node-2", "h100-whole", 1, {}, {}});
  agent_works();
  ok(Report{{.node = "node-2", .boot = "boot-1"}}, {"agent", tenancy::Role::kAgent, "node-2"});
  for (int i = 0; i < 14; ++i)
    ASSERT_EQ(request(submit(small_)).state, RequestState::kProvisioning);
  EXPECT_EQ(request(submit(small_)).state, RequestState::kQueued);
  EXPECT_EQ(request(submit(whole_)).state, RequestState::kProvisioning);
}

}  // namespace
}  // namespace tessera::control
