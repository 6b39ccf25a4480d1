#include <set>

#include "control/plan_world.h"

/// Requests for several nodes: all of it or none, as one.
namespace tessera::control {
namespace {

using request::RequestState;
using namespace std::chrono_literals;

class Gang : public PlanWorld {
 protected:
  /// One whole GPU on each of two nodes.
  const request::Need pair_{
      .isolation = catalog::Isolation::kDedicated, .duration = 1h, .nodes = 2};

  std::set<std::string> nodes_of(RequestId id) {
    std::set<std::string> names;
    for (const auto node : request::nodes_of(lease_of(id), state_.fleet()))
      names.insert(state_.fleet().node(node).name);
    return names;
  }
};

TEST_F(Gang, IsActiveOnceAllItsPartsAreReady) {
  const auto id = submit(pair_);
  EXPECT_EQ(request(id).state, RequestState::kProvisioning);
  EXPECT_EQ(nodes_of(id), (std::set<std::string>{"node-1", "node-2"}));
  work("node-1");
  EXPECT_EQ(request(id).state, RequestState::kProvisioning) << "node-2 has not made its part";
  work("node-2");
  EXPECT_EQ(request(id).state, RequestState::kActive);
}

TEST_F(Gang, WaitsForOtherNodesWhereOneThatWasReadyIsLost) {
  const auto id = submit(pair_);
  work("node-1");
  ok(NodeSilent{"node-1"});
  EXPECT_EQ(request(id).state, RequestState::kQueued);
}

TEST_F(Gang, HoldsNothingWhileAPartOfItIsLacking) {
  const auto blocking = submit({.isolation = catalog::Isolation::kDedicated, .count = 2});
  const auto gang = submit(pair_);
  EXPECT_EQ(request(gang).state, RequestState::kQueued);
  EXPECT_EQ(request(gang).open_leases, 0);
  // What it cannot use alone others get meanwhile.
  const auto single = submit({.isolation = catalog::Isolation::kDedicated, .duration = 1h});
  EXPECT_EQ(request(single).state, RequestState::kProvisioning);
  work_all();
  ok(Release{request(single).lease});
  ok(Release{request(blocking).lease});
  work_all();
  EXPECT_EQ(request(gang).state, RequestState::kProvisioning);
}

TEST_F(Gang, TwoGangsNeverHoldAPartOfEachOther) {
  const auto first = submit(pair_), second = submit(pair_);
  EXPECT_EQ(request(first).state, RequestState::kProvisioning);
  EXPECT_EQ(request(second).state, RequestState::kQueued);
  work_all();
  ok(Release{request(first).lease});
  work("node-1");
  EXPECT_EQ(request(second).state, RequestState::kQueued) << "node-2 is not yet verified free";
  work("node-2");
  EXPECT_EQ(request(second).state, RequestState::kProvisioning);
}

TEST_F(Gang, EndsAsOne) {
  const auto id = submit(pair_);
  work_all();
  const auto lease = request(id).lease;
  now_ += 1h;
  ok(Tick{});
  EXPECT_EQ(request(id).state, RequestState::kReleasing);
  for (const auto& own : state_.find(lease)->slices)
    EXPECT_EQ(state_.fleet().gpu(own.gpu).find(own.generation)->phase,
              fleet::SlicePhase::kScrubbing);
  work("node-1");
  EXPECT_EQ(request(id).state, RequestState::kReleasing);
  work("node-2");
  EXPECT_EQ(request(id).state, RequestState::kReleased);
}

TEST_F(Gang, IsGrantedAnewWhereOneOfItsPartsFails) {
  const auto id = submit(pair_);
  work("node-1");
  work("node-2", fleet::SliceStatus::kFailed);
  EXPECT_EQ(request(id).attempts, 1);
  for (const auto& own : state_.leases().begin()->second.slices)
    if (const auto* slice = state_.fleet().gpu(own.gpu).find(own.generation)) {
      EXPECT_NE(slice->phase, fleet::SlicePhase::kInUse) << "no part is left standing";
    }
}

TEST_F(Gang, IsToldWhereOneOfItsNodesIsGone) {
  const auto id = submit(pair_);
  work_all();
  const auto lease = request(id).lease;
  ok(DeleteNode{"node-2", true});
  EXPECT_EQ(request(id).state, RequestState::kQueued);
  EXPECT_EQ(request(id).reason, Reason::kNeverFits) << "only one node is left";
  EXPECT_EQ(state_.find(lease)->state, request::LeaseState::kReleasing);
  work("node-1");
  EXPECT_EQ(request(id).open_leases, 0) << "the part on the other node is verified free";
}

TEST_F(Gang, TakesTheHostOfEveryNode) {
  ok(PutNode{"node-1", "h100", 2, base::MilliCpu(8000), {}});
  ok(PutNode{"node-2", "h100", 1, base::MilliCpu(8000), {}});
  auto need = pair_;
  need.cpu = base::MilliCpu(6000);
  const auto id = submit(need);
  for (const auto& node : state_.fleet().nodes()) EXPECT_EQ(node.cpu_used, need.cpu);
  work_all();
  ok(Release{request(id).lease});
  work_all();
  for (const auto& node : state_.fleet().nodes()) EXPECT_EQ(node.cpu_used, base::MilliCpu());
}

TEST_F(Gang, CountsAgainstTheLimitAsAWhole) {
  tenancy::Team team{.name = "vision"};
  team.quotas["h100"].limit = fleet::Cost{base::kWholeGpu, base::kWholeGpu};
  ok(PutTeam{team});
  EXPECT_EQ(refused(Submit{"vision", "", pair_, ""}), Reason::kAboveLimit);
}

TEST_F(Gang, ThatMakesNoSenseIsRefused) {
  auto need = pair_;
  need.nodes = 0;
  EXPECT_EQ(refused(Submit{"vision", "", need, ""}), Reason::kInvalidQuantity);
  need.nodes = 65;
  EXPECT_EQ(refused(Submit{"vision", "", need, ""}), Reason::kInvalidQuantity);
  need = pair_;
  need.nvlink = request::Nvlink::kRequired;
  EXPECT_EQ(refused(Submit{"vision", "", need, ""}), Reason::kInvalidQuantity);
}

TEST_F(Gang, LinksAreDeclaredAndDeclaredAnew) {
  const request::Need linked{.isolation = catalog::Isolation::kDedicated,
                             .count = 2,
                             .duration = 1h,
                             .nvlink = request::Nvlink::kRequired};
  EXPECT_EQ(refused(Submit{"vision", "", linked, ""}), Reason::kNeverFits);
  ok(PutNode{"node-1", "h100", 2, {}, {}, {{0, 1}}});
  EXPECT_EQ(request(submit(linked)).state, RequestState::kProvisioning);
}

}  // namespace
}  // namespace tessera::control
