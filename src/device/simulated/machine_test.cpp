#include "device/simulated/machine.h"

#include <gtest/gtest.h>

#include "device/simulated/driver.h"
#include "device/simulated/hand_clock.h"
#include "device/simulated/synthetic.h"

namespace tessera::device::simulated {
namespace {

using namespace std::chrono_literals;

class MachineTest : public testing::Test {
 protected:
  explicit MachineTest(std::string_view model = "H100-80GB-SXM5")
      : index_(catalog_->find(model).value()),
        machine_(catalog_, clock_, {.gpus = {index_, index_}}) {}

  InstanceSpec spec(std::string_view profile, int start) const {
    const auto& model = catalog_->model(index_);
    return spec_of(model, model.find_instance(profile, start).value()).value();
  }
  OperationId submit(const Operation& operation) { return driver_.submit(operation).value(); }
  Completion after(Duration span) {
    clock_.pass(span);
    const auto ended = driver_.poll();
    EXPECT_EQ(ended.size(), 1U);
    return ended.empty() ? Completion{} : ended.front();
  }
  std::string instance() {
    submit(SetMigMode{0, true});
    clock_.pass(2s);
    driver_.poll();
    submit(CreateInstance{0, spec("1g.10gb", 0)});
    return after(1s).device;
  }

  std::shared_ptr<const catalog::Catalog> catalog_ =
      std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  HandClock clock_;
  catalog::ModelIndex index_;
  Machine machine_;
  SimulatedDriver driver_{machine_};
};

class AmpereMachineTest : public MachineTest {
 protected:
  AmpereMachineTest() : MachineTest("A30-24GB") {}
};

TEST_F(MachineTest, TakesTimeAndSaysWhenItWillBeDone) {
  submit(SetMigMode{0, true});
  EXPECT_EQ(driver_.next_completion(), clock_.now() + 1s);
  clock_.pass(999ms);
  EXPECT_TRUE(driver_.poll().empty());
  EXPECT_FALSE(driver_.observe().gpus[0].mig_current);
  EXPECT_FALSE(after(1ms).error);
  EXPECT_EQ(driver_.next_completion(), std::nullopt);
}

TEST_F(MachineTest, OneGpuWorksOneByOneAndAnotherAtTheSameTime) {
  submit(SetMigMode{0, true});
  submit(CreateInstance{0, spec("3g.40gb", 4)});
  submit(SetMigMode{1, true});
  clock_.pass(1s);
  EXPECT_EQ(driver_.poll().size(), 2U);
  EXPECT_FALSE(after(300ms).error);
}

TEST_F(MachineTest, AnOperationGoesOnWhenItsDriverIsGone) {
  {
    SimulatedDriver brief(machine_);
    ASSERT_TRUE(brief.submit(SetMigMode{0, true}).has_value());
  }
  EXPECT_FALSE(driver_.observe().gpus[0].mig_current);
  clock_.pass(1s);
  EXPECT_TRUE(driver_.observe().gpus[0].mig_current);
  EXPECT_TRUE(driver_.poll().empty());
}

TEST_F(MachineTest, AHungCallTimesOutAndMayStillHappen) {
  machine_.hang_next(0);
  submit(SetMigMode{0, true});
  const auto ended = after(10s);
  ASSERT_TRUE(ended.error.has_value());
  EXPECT_EQ(ended.error->code, ErrorCode::kTimeout);
  EXPECT_EQ(driver_.observe().gpus[0].condition, Condition::kHung);
  EXPECT_EQ(driver_.observe().gpus[1].condition, Condition::kAnswering);
  machine_.release(0);
  clock_.pass(1s);
  EXPECT_TRUE(driver_.poll().empty()) << "a completion comes once";
  EXPECT_EQ(driver_.observe().gpus[0].condition, Condition::kAnswering);
  EXPECT_TRUE(driver_.observe().gpus[0].mig_current);
}

TEST_F(MachineTest, FailsAsToldAndThenWorks) {
  machine_.fail_next(
      {.gpu = 0, .kind = OperationKind::kSetMigMode, .code = ErrorCode::kUnknown, .times = 2});
  for (int i = 0; i < 2; ++i) {
    submit(SetMigMode{0, true});
    EXPECT_EQ(after(1s).error->code, ErrorCode::kUnknown);
  }
  submit(SetMigMode{0, true});
  EXPECT_FALSE(after(1s).error);
}

TEST_F(MachineTest, ALostGpuAnswersNothingUntilTheNextBoot) {
  const auto device = instance();
  machine_.lose(0);
  submit(DestroyInstance{0, device});
  EXPECT_EQ(after(1s).error->code, ErrorCode::kGpuLost);
  EXPECT_EQ(driver_.observe().gpus[0].condition, Condition::kLost);
  EXPECT_FALSE(machine_.start({.device = device, .memory = MiB(1)}).has_value());
  machine_.reboot();
  EXPECT_EQ(driver_.observe().gpus[0].condition, Condition::kAnswering);
}

TEST_F(MachineTest, ARebootTakesInstancesProcessesAndRunningCalls) {
  const auto device = instance();
  ASSERT_TRUE(machine_.start({.device = device, .memory = MiB(1)}).has_value());
  machine_.raise_xid(0, 48);
  const auto boot = driver_.observe().boot;
  submit(ReadUse{0});
  machine_.reboot();
  const auto ended = driver_.poll();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_TRUE(ended[0].error.has_value());
  const auto now = driver_.observe();
  EXPECT_NE(now.boot, boot);
  EXPECT_TRUE(now.gpus[0].instances.empty());
  EXPECT_FALSE(now.gpus[0].in_use());
  EXPECT_TRUE(now.gpus[0].xids.empty());
  EXPECT_FALSE(now.gpus[0].mig_current) << "Hopper forgets its mode";
}

TEST_F(AmpereMachineTest, TheBoardKeepsTheModeAcrossBoots) {
  const auto gpu = driver_.observe().gpus[0].uuid;
  ASSERT_TRUE(machine_.start({.device = gpu, .memory = MiB(1)}).has_value());
  submit(SetMigMode{0, true});
  EXPECT_EQ(after(1s).error->code, ErrorCode::kInUse);
  EXPECT_TRUE(driver_.observe().gpus[0].mig_pending);
  EXPECT_FALSE(driver_.observe().gpus[0].mig_current);
  machine_.reboot();
  EXPECT_TRUE(driver_.observe().gpus[0].mig_current);
}

TEST_F(MachineTest, AProcessMayRefuseToDieForAWhile) {
  const auto device = instance();
  ASSERT_TRUE(machine_.start({.device = device, .memory = MiB(512), .linger = 30s}).has_value());
  submit(Scrub{0, device, {}});
  EXPECT_EQ(after(1s).error->code, ErrorCode::kInUse);
  clock_.pass(30s);
  submit(Scrub{0, device, {}});
  EXPECT_FALSE(after(1s).error);
}

TEST_F(MachineTest, MemoryMayReadAsUsedWithoutAProcess) {
  const auto device = instance();
  machine_.leave_memory(0, device, MiB(300), 10s);
  submit(Scrub{0, device, {}});
  EXPECT_EQ(after(1s).error->code, ErrorCode::kInUse);
  clock_.pass(10s);
  submit(Scrub{0, device, {}});
  EXPECT_FALSE(after(1s).error);
}

TEST_F(MachineTest, RefusesMoreMemoryThanTheInstanceHas) {
  const auto device = instance();
  const auto refused = machine_.start({.device = device, .memory = MiB(10 * 1024)});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kNoRoom);
  EXPECT_TRUE(machine_.start({.device = device, .memory = MiB(9984)}).has_value());
}

TEST_F(MachineTest, GpuInstanceIdsAreUsedAgain) {
  const auto first = instance();
  const auto id = driver_.observe().gpus[0].instances[0].driver_id;
  submit(DestroyInstance{0, first});
  after(1s);
  submit(CreateInstance{0, spec("1g.10gb", 5)});
  after(1s);
  const auto gpu = driver_.observe().gpus[0];
  EXPECT_EQ(gpu.instances[0].driver_id, id);
  EXPECT_NE(gpu.instances[0].device, first);
}

TEST(SyntheticTest, IsTheSameForTheSameSeedAndVaries) {
  base::SeededRandom one(3);
  base::SeededRandom two(3);
  EXPECT_EQ(new_uuid("GPU-", one), new_uuid("GPU-", two));
  EXPECT_NE(new_uuid("GPU-", one), new_uuid("GPU-", one));
  const base::Instant at{1'000'000s};
  EXPECT_EQ(synthetic_load(1, 7, 600, at), synthetic_load(1, 7, 600, at));
  std::int64_t sum = 0;
  int least = 1000;
  int most = 0;
  for (int i = 0; i < 20'000; ++i) {
    const int load = synthetic_load(1, 7, 500, at + i * 1s);
    least = std::min(least, load);
    most = std::max(most, load);
    sum += load;
  }
  EXPECT_GE(least, 0);
  EXPECT_LE(most, 1000);
  EXPECT_GT(most - least, 200);
  EXPECT_NEAR(static_cast<double>(sum) / 20'000, 500, 80);
}

}  // namespace
}  // namespace tessera::device::simulated
