#include "agent/agent.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "agent/test_bench.h"

namespace tessera::agent {
namespace {

using namespace std::chrono_literals;
using device::ErrorCode;
using device::OperationKind;
using fleet::Health;
using fleet::LeaseId;
using fleet::SlicePhase;
using fleet::SliceStatus;
using fleet::TargetSlice;

class AgentTest : public testing::Test {
 protected:
  /// An instance that lease 1 uses, with its process; the device.
  std::string lease_with_process() {
    bench_.want(true, {bench_.mig("3g.40gb", 4, 1, SlicePhase::kInUse, 1)});
    bench_.run(5s);
    const auto device = bench_.told_slice().device;
    bench_.start(device, 1);
    return device;
  }
  static TargetSlice share(std::uint64_t generation, SlicePhase phase, std::uint64_t lease) {
    return {fleet::ShareSlice{base::MiB(1024), base::MilliShare(250)}, generation, phase,
            LeaseId(lease)};
  }
  static TargetSlice whole(std::uint64_t generation, SlicePhase phase, std::uint64_t lease) {
    return {fleet::WholeSlice{}, generation, phase, LeaseId(lease)};
  }

  Bench bench_;
};

TEST_F(AgentTest, TellsWhatIsThereAndChangesNothingWithoutATarget) {
  const auto sent = bench_.run(10s);
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent[0].node, "node-1");
  EXPECT_EQ(sent[0].target_revision, 0U);
  ASSERT_EQ(sent[0].gpus.size(), 2U);
  EXPECT_EQ(sent[0].gpus[1].number, 1);
  EXPECT_EQ(sent[0].gpus[1].uuid, bench_.gpu(1).uuid);
  EXPECT_EQ(sent[0].gpus[1].health, Health::kHealthy);
  EXPECT_TRUE(sent[0].gpus[1].slices.empty());
  EXPECT_FALSE(bench_.gpu().mig_current);
}

TEST_F(AgentTest, SendsHeartbeatsWithRisingSequence) {
  const auto sent = bench_.run(10s);
  ASSERT_EQ(sent.size(), 4U);  // at 0, 3, 6 and 9 s
  for (std::size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(sent[i].sequence, i + 1);
}

TEST_F(AgentTest, MakesAnInstanceAndSaysWhenItIsReady) {
  bench_.want(true, {bench_.mig("1g.10gb", 2, 1, SlicePhase::kPreparing, 7)});
  bench_.run(1s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kPending);
  bench_.run(1s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kReady);
  EXPECT_EQ(bench_.told_slice().generation, 1U);
  ASSERT_EQ(bench_.gpu().instances.size(), 1U);
  EXPECT_EQ(bench_.told_slice().device, bench_.gpu().instances[0].device);
  EXPECT_EQ(bench_.gpu().instances[0].spec.placement.start, 2);
  EXPECT_EQ(bench_.last_.target_revision, 1U);
}

TEST_F(AgentTest, AReadySliceIsToldAtOnceNotWithTheNextHeartbeat) {
  bench_.run(1s);
  const auto start = bench_.clock_.now();
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kPreparing, 7)});
  while (bench_.last_.gpus.empty() || bench_.told().slices.empty() ||
         bench_.told_slice().status != SliceStatus::kReady) {
    bench_.run(10ms);
    ASSERT_LT(bench_.clock_.now() - start, 10s);
  }
  EXPECT_LE(bench_.clock_.now() - start, 1400ms);  // mode 1000 + create 300
}

TEST_F(AgentTest, ANewGenerationTakesTheInstanceOver) {
  bench_.want(true, {bench_.mig("2g.20gb", 2, 1, SlicePhase::kIdle)});
  bench_.run(5s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kClean);
  const auto device = bench_.told_slice().device;
  bench_.want(true, {bench_.mig("2g.20gb", 2, 2, SlicePhase::kPreparing, 7)});
  bench_.run(10ms);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kReady);
  EXPECT_EQ(bench_.told_slice().device, device);
}

TEST_F(AgentTest, MakesRoomFirstAndLeavesNeighboursAlone) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kIdle),
                     bench_.mig("1g.10gb", 1, 2, SlicePhase::kIdle),
                     bench_.mig("3g.40gb", 4, 3, SlicePhase::kIdle)});
  bench_.run(5s);
  const auto neighbour = bench_.told_slice(2).device;
  bench_.want(true, {bench_.mig("3g.40gb", 4, 3, SlicePhase::kIdle),
                     bench_.mig("2g.20gb", 0, 4, SlicePhase::kPreparing, 9)});
  bench_.run(2s);
  EXPECT_EQ(bench_.told_slice(0).device, neighbour);
  EXPECT_EQ(bench_.told_slice(1).status, SliceStatus::kReady);
  EXPECT_EQ(bench_.gpu().instances.size(), 2U);
}

TEST_F(AgentTest, AHeldInstanceStaysThoughTheTargetWantsItsPlace) {
  const auto device = lease_with_process();
  bench_.want(true, {bench_.mig("7g.80gb", 0, 2, SlicePhase::kPreparing, 2)});
  bench_.run(60s);
  EXPECT_TRUE(bench_.gpu().held(device));
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kPending);
  EXPECT_NE(bench_.told_slice().detail.find("holds"), std::string::npos);
  bench_.run(5min);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kFailed) << "patience is bounded";
  EXPECT_EQ(bench_.told().health, Health::kHealthy) << "the GPU is not to blame";
  EXPECT_TRUE(bench_.gpu().held(device));
}

TEST_F(AgentTest, ScrubsUntilTheProcessIsGone) {
  const auto device = lease_with_process();
  bench_.start(device, 1, 20s);
  bench_.want(true, {bench_.mig("3g.40gb", 4, 1, SlicePhase::kScrubbing, 1)});
  bench_.run(10s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kPending);
  EXPECT_NE(bench_.told_slice().detail.find("still holds"), std::string::npos);
  bench_.run(30s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kClean);
  EXPECT_EQ(bench_.told_slice().device, device);
  EXPECT_EQ(bench_.told().health, Health::kHealthy);
}

TEST_F(AgentTest, ScrubWaitsForMemoryThatReadsAsUsed) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kInUse, 1)});
  bench_.run(5s);
  bench_.machine_.leave_memory(0, bench_.told_slice().device, base::MiB(100), 15s);
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kScrubbing, 1)});
  bench_.run(10s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kPending);
  bench_.run(20s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kClean);
}

TEST_F(AgentTest, ARestartDoesNotDisturbATenant) {
  const auto device = lease_with_process();
  bench_.restart();
  bench_.run(5s);
  EXPECT_TRUE(bench_.told().slices.empty()) << "no target yet: nothing is claimed, or changed";
  // A target from before the tenant was let in: whose program that is, nobody can tell from it.
  bench_.want(true, {bench_.mig("3g.40gb", 4, 1, SlicePhase::kPreparing, 1)});
  bench_.run(5s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kPending);
  EXPECT_TRUE(bench_.gpu().held(device));
  bench_.want(true, {bench_.mig("3g.40gb", 4, 1, SlicePhase::kInUse, 1)});
  bench_.run(5s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kReady);
  EXPECT_EQ(bench_.told_slice().device, device);
  EXPECT_TRUE(bench_.gpu().held(device));
}

TEST_F(AgentTest, AnUnknownProcessKeepsASliceFromANewHolder) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kIdle)});
  bench_.run(5s);
  const auto pid = bench_.start(bench_.told_slice().device, 99);
  bench_.want(true, {bench_.mig("1g.10gb", 0, 2, SlicePhase::kPreparing, 2)});
  bench_.run(5s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kPending);
  bench_.machine_.stop(pid);
  bench_.run(5s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kReady);
}

TEST_F(AgentTest, RebuildsAfterARebootBeforeItSaysReady) {
  const auto before = lease_with_process();
  bench_.machine_.reboot();
  bench_.run(100ms);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kPending);
  EXPECT_EQ(bench_.last_.boot, bench_.machine_.observe().boot);
  bench_.run(5s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kReady);
  EXPECT_NE(bench_.told_slice().device, before);
  EXPECT_EQ(bench_.told_slice().device, bench_.gpu().instances.at(0).device);
}

TEST_F(AgentTest, RetriesWhatFailsForAMoment) {
  bench_.machine_.fail_next(
      {.gpu = 0, .kind = OperationKind::kCreate, .code = ErrorCode::kUnknown, .times = 3});
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kPreparing, 1)});
  bench_.run(20s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kReady);
  EXPECT_EQ(bench_.told().health, Health::kHealthy);
}

TEST_F(AgentTest, QuarantinesAGpuThatKeepsFailingAndTheNeighbourWorks) {
  bench_.machine_.fail_next(
      {.gpu = 0, .kind = OperationKind::kCreate, .code = ErrorCode::kUnknown, .times = 12});
  const auto slice = bench_.mig("1g.10gb", 0, 1, SlicePhase::kPreparing, 1);
  bench_.agent_->on_target({"node-1", 1, {{0, {}, true, {slice}}, {1, {}, true, {slice}}}});
  bench_.run(30s);
  EXPECT_EQ(bench_.told(0).health, Health::kQuarantined);
  EXPECT_EQ(bench_.told(0).slices.at(0).status, SliceStatus::kFailed);
  EXPECT_NE(bench_.told(0).detail.find("creating an instance"), std::string::npos);
  EXPECT_EQ(bench_.told(1).slices.at(0).status, SliceStatus::kReady);
  EXPECT_EQ(bench_.told(1).health, Health::kHealthy);
  bench_.run(2min);
  EXPECT_EQ(bench_.told(0).health, Health::kHealthy) << "it recovered, and is found to have";
  EXPECT_EQ(bench_.told(0).slices.at(0).status, SliceStatus::kReady);
}

TEST_F(AgentTest, AHungGpuIsLeftAloneUntilItAnswers) {
  bench_.machine_.hang_next(0);
  const auto slice = bench_.mig("1g.10gb", 0, 1, SlicePhase::kPreparing, 1);
  bench_.agent_->on_target({"node-1", 1, {{0, {}, true, {slice}}, {1, {}, true, {slice}}}});
  bench_.run(30s);
  EXPECT_EQ(bench_.told(0).health, Health::kQuarantined);
  EXPECT_EQ(bench_.told(0).slices.at(0).status, SliceStatus::kPending);
  EXPECT_EQ(bench_.told(1).slices.at(0).status, SliceStatus::kReady);
  bench_.machine_.release(0);
  bench_.run(10s);
  EXPECT_EQ(bench_.told(0).health, Health::kHealthy);
  EXPECT_EQ(bench_.told(0).slices.at(0).status, SliceStatus::kReady);
}

TEST_F(AgentTest, ALostGpuFailsItsLeases) {
  lease_with_process();
  bench_.machine_.lose(0);
  bench_.run(5s);
  EXPECT_EQ(bench_.told().health, Health::kQuarantined);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kFailed);
}

TEST_F(AgentTest, AFatalXidQuarantinesAndATenantsOwnFaultDoesNot) {
  const auto device = lease_with_process();
  bench_.machine_.raise_xid(0, 31);  // a page fault of the program
  bench_.run(5s);
  EXPECT_EQ(bench_.told().health, Health::kHealthy);
  bench_.machine_.raise_xid(0, 64);
  bench_.run(5s);
  EXPECT_EQ(bench_.told().health, Health::kQuarantined);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kReady) << "what runs keeps running";
  EXPECT_TRUE(bench_.gpu().held(device));
}

TEST_F(AgentTest, IgnoresATargetOlderThanOneSeen) {
  const auto slice = bench_.mig("1g.10gb", 0, 1, SlicePhase::kPreparing, 1);
  bench_.agent_->on_target({"node-1", 9, {{0, {}, true, {slice}}}});
  bench_.run(5s);
  bench_.agent_->on_target({"node-1", 8, {{0, {}, false, {}}}});
  bench_.agent_->on_target({"other", 10, {{0, {}, false, {}}}});
  bench_.run(5s);
  EXPECT_EQ(bench_.agent_->revision(), 9U);
  EXPECT_EQ(bench_.gpu().instances.size(), 1U);
}

TEST_F(AgentTest, ListensToAControlPlaneWithAnOlderJournal) {
  const auto target = [&](std::uint64_t incarnation, std::uint64_t revision, TargetSlice slice) {
    return fleet::NodeTarget{"node-1", revision, {{0, {}, true, {std::move(slice)}}}, incarnation};
  };
  bench_.agent_->on_target(target(1, 90, bench_.mig("1g.10gb", 0, 5, SlicePhase::kPreparing, 9)));
  bench_.run(10s);
  ASSERT_EQ(bench_.told_slice().status, SliceStatus::kReady);
  EXPECT_EQ(bench_.last_.highest_lease, LeaseId(9));
  bench_.start(bench_.told_slice().device, 9);

  // The same generation, lease number and place, and none of them the same.
  bench_.agent_->on_target(target(2, 40, bench_.mig("1g.10gb", 0, 5, SlicePhase::kPreparing, 9)));
  bench_.run(10s);
  EXPECT_EQ(bench_.last_.answers(), (fleet::Moment{2, 40}));
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kPending) << bench_.told_slice().detail;
  bench_.agent_->on_target(target(1, 91, bench_.mig("1g.10gb", 0, 5, SlicePhase::kIdle)));
  EXPECT_EQ(bench_.agent_->moment(), (fleet::Moment{2, 40})) << "a straggler";
}

TEST_F(AgentTest, SharesComeAndGoWithoutTouchingEachOther) {
  bench_.want(false, {share(1, SlicePhase::kPreparing, 1), share(2, SlicePhase::kPreparing, 2)});
  bench_.run(1s);
  EXPECT_EQ(bench_.told_slice(0).status, SliceStatus::kReady);
  EXPECT_EQ(bench_.told_slice(1).device, bench_.gpu().uuid);
  bench_.start(bench_.gpu().uuid, 1);
  const auto neighbour = bench_.start(bench_.gpu().uuid, 2);
  bench_.want(false, {share(1, SlicePhase::kScrubbing, 1), share(2, SlicePhase::kInUse, 2)});
  bench_.run(2s);
  EXPECT_EQ(bench_.told_slice(0).status, SliceStatus::kClean);
  EXPECT_EQ(bench_.told_slice(1).status, SliceStatus::kReady);
  ASSERT_EQ(bench_.gpu().processes.size(), 1U);
  EXPECT_EQ(bench_.gpu().processes[0].pid, neighbour);
}

TEST_F(AgentTest, MakesTheGpuWholeAgainForAWholeLease) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kIdle),
                     bench_.mig("2g.20gb", 2, 2, SlicePhase::kIdle)});
  bench_.run(5s);
  bench_.want(false, {whole(3, SlicePhase::kPreparing, 1)});
  const auto sent = bench_.run(5s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kReady);
  EXPECT_EQ(bench_.told_slice().device, bench_.gpu().uuid);
  EXPECT_FALSE(bench_.gpu().mig_current);
  for (const auto& report : sent) {
    if (report.gpus[0].slices.at(0).status == SliceStatus::kReady) {
      EXPECT_EQ(report.gpus, sent.back().gpus);
    }
  }
}

TEST_F(AgentTest, AGpuWhoseModeIsChangingIsNotReadyAsAWhole) {
  bench_.want(true, {});
  bench_.run(50ms);  // MIG mode is being turned on
  bench_.want(false, {whole(1, SlicePhase::kPreparing, 1)});
  bench_.run(500ms);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kPending);
  bench_.run(5s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kReady);
  EXPECT_FALSE(bench_.gpu().mig_current);
}

TEST_F(AgentTest, SaysSoWhenTheNodeCannotServeAKindOfSlice) {
  bench_.want(false, {{fleet::VgpuSlice{0}, 1, SlicePhase::kPreparing, LeaseId(1)}});
  bench_.run(1s);
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kFailed);
  EXPECT_NE(bench_.told_slice().detail.find("cannot serve"), std::string::npos);
}

TEST_F(AgentTest, AnInstanceTheCatalogDoesNotKnowFailsAlone) {
  bench_.want(true, {{fleet::MigSlice{63}, 1, SlicePhase::kPreparing, LeaseId(1)},
                     bench_.mig("1g.10gb", 0, 2, SlicePhase::kPreparing, 2)});
  bench_.run(5s);
  EXPECT_EQ(bench_.told_slice(0).status, SliceStatus::kFailed);
  EXPECT_EQ(bench_.told_slice(1).status, SliceStatus::kReady);
}

TEST_F(AgentTest, FindsAGpuByItsUuidNotItsNumber) {
  const auto slice = bench_.mig("1g.10gb", 0, 1, SlicePhase::kPreparing, 1);
  bench_.agent_->on_target(
      {"node-1", 1, {{0, bench_.gpu(1).uuid, true, {slice}}, {1, "GPU-gone", true, {slice}}}});
  bench_.run(5s);
  EXPECT_EQ(bench_.gpu(1).instances.size(), 1U);
  EXPECT_EQ(bench_.told(0).uuid, bench_.gpu(1).uuid);
  EXPECT_EQ(bench_.told(0).slices.at(0).status, SliceStatus::kReady);
  EXPECT_EQ(bench_.told(1).health, Health::kQuarantined);
  EXPECT_EQ(bench_.told(1).slices.at(0).status, SliceStatus::kFailed);
}

TEST_F(AgentTest, AnInstanceUnderDestructionIsNeverCalledReady) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kIdle)});
  bench_.run(5s);
  const auto old = bench_.told_slice().device;
  bench_.want(true, {});
  bench_.run(50ms);  // the destruction has begun
  bench_.want(true, {bench_.mig("1g.10gb", 0, 2, SlicePhase::kPreparing, 1)});
  for (const auto& report : bench_.run(5s)) {
    if (report.gpus[0].slices.at(0).status == SliceStatus::kReady) {
      EXPECT_NE(report.gpus[0].slices.at(0).device, old);
    }
  }
  EXPECT_EQ(bench_.told_slice().status, SliceStatus::kReady);
}

}  // namespace
}  // namespace tessera::agent
