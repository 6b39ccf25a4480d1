#include "control/test_steps.h"

namespace tessera::control {
namespace {

using catalog::Isolation;
using request::Need;
using request::RequestState;
using namespace std::chrono_literals;

class Step : public StepTest {};

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

TEST_F(Step, APoolWithNodesKeepsItsModel) {
  agent_works();
  auto pool = state_.fleet().pool(fleet::PoolIndex(0));
  pool.model = *state_.catalog().find("A30-24GB");
  EXPECT_EQ(refused(PutPool{pool}), Reason::kConflict);
  ok(DeleteNode{"node-1"});
  ok(PutPool{pool});
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

TEST_F(Step, NoTwoTokensHaveOneSecret) {
  ok(PutToken{{.name = "one", .digest = "aa"}});
  EXPECT_EQ(refused(PutToken{{.name = "two", .digest = "aa"}}), Reason::kAlreadyExists);
  ok(PutToken{{.name = "join", .digest = "join:bb"}});
  EXPECT_EQ(refused(AdmitAgent{"join", {.name = "key", .digest = "aa"}}), Reason::kAlreadyExists);
  ok(DeleteToken{"one"});
  ok(PutToken{{.name = "two", .digest = "aa"}});
}

TEST_F(Step, AnAgentIsAdmittedInOneStepAndItsTokenIsUsedUp) {
  ok(PutToken{{.name = "first", .digest = "join:aa"}});
  ok(PutToken{{.name = "second", .digest = "join:bb"}});
  const AdmitAgent first{"first", {.name = "key", .digest = "key:cc"}};
  ok(first);
  EXPECT_EQ(state_.find_token_by_digest("join:aa"), nullptr);
  EXPECT_EQ(refused(first), Reason::kUnknownObject);
  ok(AdmitAgent{"second", {.name = "key", .digest = "key:dd"}});
  EXPECT_EQ(state_.find_token_by_digest("key:cc"), nullptr);
  ASSERT_NE(state_.find_token_by_digest("key:dd"), nullptr);
  ok(PutToken{{.name = "third", .digest = "join:ee"}});
  EXPECT_EQ(refused(AdmitAgent{"third", {.name = "third", .digest = "key:ff"}}), Reason::kConflict);
  EXPECT_EQ(refused(AdmitAgent{"third", {.name = "key", .digest = "key:ff"}},
                    {"node", tenancy::Role::kAgent, "node-1"}),
            Reason::kForbidden);
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
