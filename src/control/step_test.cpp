#include "control/step.h"

#include <gtest/gtest.h>

#include "control/invariants.h"
#include "tenancy/tier.h"

namespace tessera::control {
namespace {

using catalog::Isolation;
using fleet::SliceStatus;
using request::Need;
using request::RequestState;
using namespace std::chrono_literals;

const tenancy::Actor kAdmin{"admin", tenancy::Role::kAdmin, ""};
const tenancy::Actor kVision{"ada", tenancy::Role::kMember, "vision"};

/// One node of two H100s, two teams, time in the test's hands; every invariant runs after every
/// step.
class Step : public testing::Test {
 protected:
  Step() {
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

  base::Result<Record> run(const Command& command, const tenancy::Actor& actor = kAdmin) {
    auto record = step(state_, command, actor, now_);
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

  RequestId submit(const Need& need, const std::string& team = "vision") {
    const auto id = state_.next_request();
    ok(Submit{team, "", need, ""});
    return id;
  }
  const request::Request& request(RequestId id) { return *state_.find(id); }
  const request::Lease& lease_of(RequestId id) { return *state_.find(request(id).lease); }

  /// The agent does at once what the target says, or fails at it.
  void agent_works(SliceStatus made = SliceStatus::kReady, const std::string& boot = "boot-1") {
    fleet::NodeReport report{.node = "node-1", .boot = boot};
    const auto target = target_of(state_, *state_.fleet().find_node("node-1"));
    for (const auto& gpu : target.gpus) {
      fleet::GpuReport gpu_report{.number = gpu.number,
                                  .uuid = "GPU-" + std::to_string(gpu.number)};
      for (const auto& slice : gpu.slices) {
        const bool wanted = slice.phase == fleet::SlicePhase::kPreparing ||
                            slice.phase == fleet::SlicePhase::kInUse;
        gpu_report.slices.push_back(
            {slice.generation, wanted ? made : SliceStatus::kClean, "dev", "detail"});
      }
      report.gpus.push_back(std::move(gpu_report));
    }
    ok(Report{report}, {"agent", tenancy::Role::kAgent, "node-1"});
  }

  struct Said {
    std::uint16_t gpu;
    std::uint64_t generation;
    SliceStatus status;
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

  State state_{std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in())};
  std::vector<std::unique_ptr<Invariant>> invariants_ = all_invariants();
  Instant now_{};
  const Need small_{.memory = base::MiB(9537), .isolation = Isolation::kPartition, .duration = 8h};
  const Need whole_{.isolation = Isolation::kDedicated, .duration = 1h};
};

TEST_F(Step, ARequestLivesFromSubmittedToReleased) {
  agent_works();
  const auto id = submit(small_);
  EXPECT_EQ(request(id).state, RequestState::kProvisioning);
  EXPECT_EQ(request(id).tier, "production");
  agent_works();
  EXPECT_EQ(request(id).state, RequestState::kActive);
  EXPECT_EQ(lease_of(id).expires, now_ + 8h);
  ok(Release{request(id).lease}, kVision);
  EXPECT_EQ(request(id).state, RequestState::kReleasing);
  EXPECT_NE(state_.usage("vision", fleet::PoolIndex(0)), fleet::Cost{});
  agent_works();
  EXPECT_EQ(request(id).state, RequestState::kReleased);
  EXPECT_EQ(state_.usage("vision", fleet::PoolIndex(0)), fleet::Cost{});
}

TEST_F(Step, NothingIsGrantedBeforeTheNodeReports) {
  const auto id = submit(small_);
  EXPECT_EQ(request(id).state, RequestState::kQueued);
  EXPECT_EQ(request(id).reason, Reason::kNodesAway);
  agent_works();
  EXPECT_EQ(request(id).state, RequestState::kProvisioning);
}

TEST_F(Step, TheQueueIsServedOldestFirstOnceASliceIsClean) {
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

TEST_F(Step, ALeaseGivesNoticeThenEndsUnlessRenewed) {
  agent_works();
  const auto id = submit(small_);
  agent_works();
  now_ += 7h + 46min;
  ok(Tick{});
  EXPECT_EQ(request(id).state, RequestState::kExpiring);
  ok(Renew{request(id).lease, 2h}, kVision);
  EXPECT_EQ(request(id).state, RequestState::kActive);
  now_ += 2h + 15min;
  ok(Tick{});
  EXPECT_EQ(request(id).state, RequestState::kReleasing);
  EXPECT_EQ(request(id).reason, Reason::kExpired);
}

TEST_F(Step, ARenewalStopsAtTheTiersMaximum) {
  agent_works();
  const auto id = submit(small_);
  agent_works();
  ok(Renew{request(id).lease, 24h * 365});
  EXPECT_EQ(lease_of(id).expires, now_ + 24h * 30);
  EXPECT_EQ(refused(Renew{request(id).lease, 1h}), Reason::kAboveLimit);
}

TEST_F(Step, CancelIsLegalFromAnyStateAndIdempotent) {
  const auto queued = submit(small_);
  ok(Cancel{queued}, kVision);
  EXPECT_EQ(request(queued).state, RequestState::kCancelled);
  agent_works();
  const auto active = submit(small_);
  agent_works();
  ok(Cancel{active}, kVision);
  ok(Cancel{active}, kVision);
  agent_works();
  EXPECT_EQ(request(active).state, RequestState::kCancelled);
  ok(Cancel{active}, kVision);
}

TEST_F(Step, AFailedDeviceIsQuarantinedAndTheRequestGoesElsewhere) {
  agent_works();
  const auto id = submit(whole_);
  const auto gpu = lease_of(id).slices.front().gpu;
  agent_works(SliceStatus::kFailed);
  EXPECT_EQ(state_.fleet().gpu(gpu).health, fleet::Health::kQuarantined);
  ASSERT_EQ(request(id).state, RequestState::kProvisioning);
  EXPECT_NE(lease_of(id).slices.front().gpu, gpu);
  EXPECT_EQ(request(id).attempts, 1);
  agent_works();
  EXPECT_EQ(request(id).state, RequestState::kActive);
  ok(Restore{state_.fleet().gpu_name(gpu)});
  EXPECT_EQ(state_.fleet().gpu(gpu).health, fleet::Health::kHealthy);
}

TEST_F(Step, AFailedPartitionLeavesItsGpuInService) {
  agent_works();
  const auto neighbour = submit(small_);
  agent_works();
  const auto id = submit(small_);
  const auto failed = lease_of(id).slices.front();
  const auto number = state_.fleet().gpu(failed.gpu).number;
  ok(Report{report_of({{number, failed.generation, SliceStatus::kFailed}})}, agent());
  const auto& gpu = state_.fleet().gpu(failed.gpu);
  EXPECT_EQ(gpu.health, fleet::Health::kHealthy) << "the hardware keeps partitions apart";
  EXPECT_EQ(gpu.find(failed.generation)->phase, fleet::SlicePhase::kFailed);
  EXPECT_EQ(request(neighbour).state, RequestState::kActive);
  ASSERT_EQ(request(id).state, RequestState::kProvisioning) << "elsewhere";
  const auto& again = lease_of(id).slices.front();
  EXPECT_TRUE(again.gpu != failed.gpu || again.shape != failed.shape);
  agent_works();
  EXPECT_EQ(gpu.find(failed.generation), nullptr) << "verified clean, and free again";
}

TEST_F(Step, AFailedPartitionOfASickGpuTakesItOutOfService) {
  agent_works();
  const auto failed = lease_of(submit(small_)).slices.front();
  auto report =
      report_of({{state_.fleet().gpu(failed.gpu).number, failed.generation, SliceStatus::kFailed}});
  report.gpus.front().health = fleet::Health::kQuarantined;
  report.gpus.front().detail = "Xid 79";
  ok(Report{report}, agent());
  EXPECT_EQ(state_.fleet().gpu(failed.gpu).health, fleet::Health::kQuarantined);
}

TEST_F(Step, ALateReportDoesNotUndoWhatIsKnown) {
  const auto numbered = [](const std::string& boot, std::uint64_t sequence) {
    return fleet::NodeReport{.node = "node-1", .boot = boot, .sequence = sequence, .session = 7};
  };
  ok(Report{numbered("boot-1", 5)}, agent());
  ok(NodeSilent{"node-1"});
  ok(Report{numbered("boot-1", 4)}, agent());
  ok(Report{numbered("boot-1", 5)}, agent());
  EXPECT_EQ(state_.fleet().nodes().front().phase, fleet::NodePhase::kLost);
  ok(Report{numbered("boot-2", 1)}, agent());
  EXPECT_EQ(state_.fleet().nodes().front().phase, fleet::NodePhase::kReady);
  ok(Report{numbered("boot-1", 6)}, agent());
  EXPECT_EQ(state_.fleet().nodes().front().boot, "boot-2");
}

TEST_F(Step, WhoWaitsForWhatCannotBeIsTold) {
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

TEST_F(Step, OneTeamCannotFillTheQueue) {
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

TEST_F(Step, WhoWaitsForApprovalWaitsToo) {
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

TEST_F(Step, ALostNodeKeepsItsLeasesAndGetsNoNewOnes) {
  agent_works();
  const auto id = submit(small_);
  agent_works();
  ok(NodeSilent{"node-1"});
  EXPECT_EQ(request(id).state, RequestState::kActive);
  EXPECT_EQ(request(submit(small_)).state, RequestState::kQueued);
  agent_works(SliceStatus::kReady, "boot-2");
  EXPECT_EQ(state_.fleet().nodes().front().phase, fleet::NodePhase::kReady);
}

TEST_F(Step, LargeRequestsWaitForApproval) {
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

TEST_F(Step, TheSameKeyIsTheSameRequest) {
  agent_works();
  ok(Submit{"vision", "", small_, "key-1"}, kVision);
  const auto revision = state_.revision();
  ok(Submit{"vision", "", small_, "key-1"}, kVision);
  EXPECT_EQ(state_.revision(), revision);
  EXPECT_EQ(refused(Submit{"vision", "", whole_, "key-1"}, kVision), Reason::kConflict);
}

TEST_F(Step, MembersActForTheirOwnTeamOnly) {
  agent_works();
  EXPECT_EQ(refused(Submit{"speech", "", small_, ""}, kVision), Reason::kForbidden);
  const auto id = submit(small_, "speech");
  EXPECT_EQ(refused(Cancel{id}, kVision), Reason::kForbidden);
  EXPECT_EQ(refused(PutTeam{{.name = "x"}}, kVision), Reason::kForbidden);
  EXPECT_EQ(refused(Report{{.node = "node-1"}}, kAdmin), Reason::kForbidden);
}

TEST_F(Step, DocumentsInUseCannotGoAway) {
  agent_works();
  submit(small_);
  EXPECT_EQ(refused(DeleteTier{"production"}), Reason::kConflict);
  EXPECT_EQ(refused(DeleteTeam{"vision"}), Reason::kConflict);
  EXPECT_EQ(refused(DeleteNode{"node-1"}), Reason::kConflict);
  EXPECT_EQ(refused(DeletePool{"h100"}), Reason::kConflict);
  EXPECT_EQ(refused(PutNode{"node-1", "h100", 1, {}, {}}), Reason::kConflict);
}

TEST_F(Step, ApplyIsAllOrNothing) {
  Apply apply;
  apply.documents.emplace_back(PutTeam{{.name = "bio"}});
  tenancy::Team broken{.name = "chem"};
  broken.quotas["nope"] = {};
  apply.documents.emplace_back(PutTeam{broken});
  EXPECT_EQ(refused(apply), Reason::kUnknownObject);
  EXPECT_EQ(state_.find_team("bio"), nullptr);
  apply.documents.pop_back();
  ok(apply);
  EXPECT_NE(state_.find_team("bio"), nullptr);
  const auto revision = state_.revision();
  ok(apply);
  EXPECT_EQ(state_.revision(), revision) << "an unchanged document is no event";
}

TEST_F(Step, EndedRequestsAreForgottenAfterAWeek) {
  const auto id = submit(small_);
  ok(Cancel{id});
  now_ += kRequestMemory;
  ok(Tick{});
  EXPECT_EQ(state_.find(id), nullptr);
}

TEST_F(Step, AStaticLayoutIsGrantedAsItIs) {
  const auto& model = state_.catalog().model(*state_.catalog().find("H100-80GB-SXM5"));
  fleet::Pool pool = state_.fleet().pool(fleet::PoolIndex(0));
  pool.layout_policy = fleet::LayoutPolicy::kStatic;
  pool.static_layout = catalog::bit(*model.find_instance("4g.40gb", 0)) |
                       catalog::bit(*model.find_instance("3g.40gb", 4));
  ok(PutPool{pool});
  agent_works();
  EXPECT_EQ(refused(Submit{"vision", "", whole_, ""}), Reason::kNeverFits);
  const Need forty{.memory = base::MiB(40'000), .isolation = Isolation::kPartition};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(request(submit(forty)).state, RequestState::kProvisioning);
  EXPECT_EQ(request(submit(forty)).state, RequestState::kQueued);
  agent_works();
  ok(Cancel{RequestId(1)});
  agent_works();
  EXPECT_EQ(request(RequestId(5)).state, RequestState::kProvisioning);
}

TEST_F(Step, AReportThatSaysThingsTwiceCountsOnce) {
  agent_works();
  const auto one = submit(small_);
  auto pair = whole_;
  pair.count = 2;
  agent_works();
  ok(Release{request(one).lease});
  ok(Report{report_of({{0, 1, SliceStatus::kClean}, {0, 1, SliceStatus::kClean}})}, agent());
  EXPECT_EQ(request(one).state, RequestState::kReleased);
  const auto two = submit(pair);
  ASSERT_EQ(request(two).state, RequestState::kProvisioning);
  const auto& slice = lease_of(two).slices.front();
  const auto number = state_.fleet().gpu(slice.gpu).number;
  ok(Report{report_of({{number, slice.generation, SliceStatus::kReady},
                       {number, slice.generation, SliceStatus::kReady}})},
     agent());
  EXPECT_EQ(request(two).state, RequestState::kProvisioning) << "the other slice is not ready";
  agent_works();
  ok(Release{request(two).lease});
  ok(Report{report_of({{number, slice.generation, SliceStatus::kClean},
                       {number, slice.generation, SliceStatus::kClean}})},
     agent());
  EXPECT_EQ(request(two).state, RequestState::kReleasing);
  agent_works();
  EXPECT_EQ(request(two).state, RequestState::kReleased);
}

TEST_F(Step, ARequestIsRememberedWhileABrokenNodeHoldsItsSlices) {
  ok(PutNode{"node-2", "h100", 2, {}, {}});
  agent_works();
  const auto id = submit(whole_);
  const auto first = request(id).lease;
  ok(NodeSilent{"node-1"});
  ok(Cancel{id});
  now_ += kRequestMemory + 1h;
  ok(Tick{});
  ASSERT_NE(state_.find(id), nullptr) << "its first lease has not ended";
  EXPECT_NE(state_.find(first), nullptr);
  agent_works();
  ok(Tick{});
  EXPECT_EQ(state_.find(id), nullptr);
  EXPECT_EQ(state_.find(first), nullptr);
}

TEST_F(Step, ANodeThatIsGoneGivesUpWhatItHolds) {
  agent_works();
  const auto active = submit(small_);
  const auto releasing = submit(whole_);
  agent_works();
  ok(Release{request(releasing).lease});
  EXPECT_EQ(refused(DeleteNode{"node-1"}), Reason::kConflict);
  ok(DeleteNode{"node-1", true});
  EXPECT_EQ(request(active).state, RequestState::kQueued) << "it waits for other hardware";
  EXPECT_EQ(request(releasing).state, RequestState::kReleased);
  EXPECT_EQ(state_.usage("vision", fleet::PoolIndex(0)), fleet::Cost{});
  EXPECT_FALSE(state_.fleet().find_node("node-1"));
}

TEST_F(Step, ANodeDeclaredAgainDoesNotHandOutOldGenerations) {
  agent_works();
  const auto before = lease_of(submit(whole_)).slices.front().generation;
  ok(DeleteNode{"node-1", true});
  ok(PutNode{"node-1", "h100", 2, {}, {}});
  agent_works();
  EXPECT_GT(lease_of(RequestId(1)).slices.front().generation, before)
      << "its agent still knows a slice by that number, and would call it ready";
}

TEST_F(Step, APoolWithNodesKeepsItsModel) {
  agent_works();
  auto pool = state_.fleet().pool(fleet::PoolIndex(0));
  pool.model = *state_.catalog().find("A30-24GB");
  EXPECT_EQ(refused(PutPool{pool}), Reason::kConflict);
  ok(DeleteNode{"node-1"});
  ok(PutPool{pool});
}

TEST_F(Step, WhatAPoolOffersAnewIsGrantedAtOnce) {
  auto pool = state_.fleet().pool(fleet::PoolIndex(0));
  const auto all = pool.technologies;
  pool.technologies = {catalog::Technology::kTimeSlicing};
  ok(PutPool{pool});
  agent_works();
  pool.technologies = all;
  ok(PutPool{pool});
  EXPECT_EQ(request(submit(small_)).state, RequestState::kProvisioning);
}

TEST_F(Step, AStaticLayoutIsMadeWholeAgainAfterAFailure) {
  auto pool = state_.fleet().pool(fleet::PoolIndex(0));
  const auto& model = state_.catalog().model(pool.model);
  pool.layout_policy = fleet::LayoutPolicy::kStatic;
  pool.static_layout = catalog::bit(*model.find_instance("4g.40gb", 0)) |
                       catalog::bit(*model.find_instance("3g.40gb", 4));
  ok(PutPool{pool});
  agent_works();
  const auto id = submit({.memory = base::MiB(40'000), .isolation = Isolation::kPartition});
  const auto gpu = lease_of(id).slices.front().gpu;
  agent_works(SliceStatus::kFailed);
  ok(Restore{state_.fleet().gpu_name(gpu)});
  agent_works();
  agent_works();
  EXPECT_EQ(state_.fleet().gpu(gpu).slices.size(), 2u);
}

TEST_F(Step, AClockThatGoesBackStandsStill) {
  agent_works();
  now_ += 24h;
  const auto id = submit(small_);
  now_ -= 3h;
  agent_works();
  EXPECT_EQ(lease_of(id).activated, lease_of(id).granted);
  EXPECT_EQ(state_.last_change(), lease_of(id).granted);
}

TEST_F(Step, AWholeGpuIsNoAnswerForASmallNeed) {
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

TEST_F(Step, MembersRenewUpToWhatNeedsNoApproval) {
  auto tier = *state_.find_tier("production");
  tier.auto_approval = tenancy::AutoApproval{base::GpuFraction(10'500), 12h};
  ok(PutTier{tier});
  agent_works();
  const auto id = submit(small_);
  agent_works();
  ok(Renew{request(id).lease, 4h}, kVision);
  EXPECT_EQ(refused(Renew{request(id).lease, 1h}, kVision), Reason::kForbidden);
  ok(Renew{request(id).lease, 1h});
}

}  // namespace
}  // namespace tessera::control
