#include "control/test_steps.h"

/// What nodes say, and what becomes of those who hold something there.
namespace tessera::control {
namespace {

using catalog::Isolation;
using fleet::SliceStatus;
using request::RequestState;
using namespace std::chrono_literals;

class Reports : public StepTest {};

TEST_F(Reports, AFailedDeviceIsQuarantinedAndTheRequestGoesElsewhere) {
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

TEST_F(Reports, AFailedPartitionLeavesItsGpuInService) {
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

TEST_F(Reports, AFailedPartitionOfASickGpuTakesItOutOfService) {
  agent_works();
  const auto failed = lease_of(submit(small_)).slices.front();
  auto report =
      report_of({{state_.fleet().gpu(failed.gpu).number, failed.generation, SliceStatus::kFailed}});
  report.gpus.front().health = fleet::Health::kQuarantined;
  report.gpus.front().detail = "Xid 79";
  ok(Report{report}, agent());
  EXPECT_EQ(state_.fleet().gpu(failed.gpu).health, fleet::Health::kQuarantined);
}

TEST_F(Reports, ALateReportDoesNotUndoWhatIsKnown) {
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

TEST_F(Reports, ALostNodeKeepsItsLeasesAndGetsNoNewOnes) {
  agent_works();
  const auto id = submit(small_);
  agent_works();
  ok(NodeSilent{"node-1"});
  EXPECT_EQ(request(id).state, RequestState::kActive);
  EXPECT_EQ(request(submit(small_)).state, RequestState::kQueued);
  agent_works(SliceStatus::kReady, "boot-2");
  EXPECT_EQ(state_.fleet().nodes().front().phase, fleet::NodePhase::kReady);
}

TEST_F(Reports, AReportThatSaysThingsTwiceCountsOnce) {
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

TEST_F(Reports, ARequestIsRememberedWhileABrokenNodeHoldsItsSlices) {
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

TEST_F(Reports, ANodeThatIsGoneGivesUpWhatItHolds) {
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

TEST_F(Reports, ANodeDeclaredAgainDoesNotHandOutOldGenerations) {
  agent_works();
  const auto before = lease_of(submit(whole_)).slices.front().generation;
  ok(DeleteNode{"node-1", true});
  ok(PutNode{"node-1", "h100", 2, {}, {}});
  agent_works();
  EXPECT_GT(lease_of(RequestId(1)).slices.front().generation, before)
      << "its agent still knows a slice by that number, and would call it ready";
}

TEST_F(Reports, AStaticLayoutIsMadeWholeAgainAfterAFailure) {
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

}  // namespace
}  // namespace tessera::control
