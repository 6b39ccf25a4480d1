#include "agent/meter.h"

#include <gtest/gtest.h>

#include "agent/test_bench.h"

namespace tessera::agent {
namespace {

using fleet::LeaseId;
using fleet::SlicePhase;
using fleet::Use;
using namespace std::chrono_literals;

/// A simulated node whose agent measures.
class MeterTest : public testing::Test {
 protected:
  MeterTest() { bench_.agent_->measure(meter_); }

  Use used(std::uint64_t lease) const {
    const auto book = meter_.book();
    const auto found = book.totals().find(LeaseId(lease));
    return found == book.totals().end() ? Use{} : found->second;
  }
  const MeterView::Device* shown(const std::string& device) {
    view_ = meter_.view();
    for (const auto& gpu : view_.gpus)
      for (const auto& each : gpu.devices)
        if (each.sample.device == device) return &each;
    return nullptr;
  }

  Bench bench_;
  Meter meter_{bench_.catalog_, UseBook("s1")};
  MeterView view_;
};

TEST_F(MeterTest, AnInstanceInUseIsChargedToItsLease) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kInUse, 7),
                     bench_.mig("3g.40gb", 4, 2, SlicePhase::kIdle)});
  bench_.run(10s);
  const auto device = bench_.told_slice().device;
  EXPECT_EQ(used(7).busy, fleet::BusyTime(0));
  const auto before = used(7);
  bench_.start(device, 7);
  bench_.run(100s);
  const auto after = used(7);
  EXPECT_NEAR(static_cast<double>((after.measured - before.measured).count()), 100'000, 2'000);
  const double busy = static_cast<double>(after.busy.count()) / 1e8;
  EXPECT_GT(busy, 0.4) << "60 % on average";
  EXPECT_LT(busy, 0.8);
  EXPECT_NEAR(static_cast<double>(after.memory.count()) / 512e5, 1.0, 0.03) << "512 MiB held";
  ASSERT_NE(shown(device), nullptr);
  EXPECT_EQ(shown(device)->profile, "1g.10gb");
  EXPECT_EQ(shown(device)->leases, std::vector{LeaseId(7)});
  EXPECT_EQ(meter_.book().totals().size(), 1U) << "what nobody holds is charged to nobody";
}

TEST_F(MeterTest, WhoTakesADeviceOverPaysFromThenOn) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kInUse, 7)});
  bench_.run(30s);
  const auto first = used(7).measured;
  bench_.want(true, {bench_.mig("1g.10gb", 0, 2, SlicePhase::kInUse, 8)});
  bench_.run(30s);
  EXPECT_LE(used(7).measured - first, 1s) << "at most the sample that was under way";
  EXPECT_LE(used(8).measured, 30s);
  EXPECT_GT(used(8).measured, 27s);
}

TEST_F(MeterTest, WhatIsNotInUseIsNotCharged) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kScrubbing, 7)});
  bench_.run(30s);
  EXPECT_EQ(used(7), Use{});
}

TEST_F(MeterTest, TenantsOfASharedGpuPayForTheirOwnProcesses) {
  const auto share = [](std::uint64_t lease) {
    return fleet::TargetSlice{fleet::ShareSlice{base::MiB(4096), base::MilliShare(250), 1}, lease,
                              SlicePhase::kInUse, LeaseId(lease)};
  };
  bench_.want(false, {share(1), share(2)});
  bench_.run(5s);
  bench_.start(bench_.gpu().uuid, 1);
  bench_.run(60s);
  EXPECT_GT(used(1).busy, fleet::BusyTime(20'000'000));
  EXPECT_EQ(used(2).busy, fleet::BusyTime(0));
  EXPECT_GT(used(1).memory, fleet::MemoryTime(0));
  EXPECT_EQ(used(2).memory, fleet::MemoryTime(0));
}

TEST_F(MeterTest, ALostGpuIsNotMeasuredAndItsNeighbourIs) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kInUse, 7)});
  bench_.run(10s);
  bench_.machine_.lose(0);
  bench_.run(2s);
  const auto lost = used(7).measured;
  bench_.run(30s);
  EXPECT_EQ(used(7).measured, lost);
  view_ = meter_.view();
  ASSERT_EQ(view_.gpus.size(), 2U);
  EXPECT_FALSE(view_.gpus[0].answering);
  EXPECT_TRUE(view_.gpus[1].answering);
}

TEST_F(MeterTest, ATotalIsShownForAWhileAfterTheEnd) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kInUse, 7)});
  bench_.run(10s);
  bench_.want(true, {});
  bench_.run(4min);
  EXPECT_TRUE(meter_.view().totals.contains(LeaseId(7)));
  bench_.run(2min);
  EXPECT_FALSE(meter_.view().totals.contains(LeaseId(7)));
  ASSERT_TRUE(meter_.close()) << "and is still to be told";
  EXPECT_EQ(meter_.book().batches().front().leases.front().lease, LeaseId(7));
}

TEST_F(MeterTest, OutsideReadingsFillWhatNvmlDoesNotTell) {
  bench_.want(true, {bench_.mig("1g.10gb", 0, 1, SlicePhase::kInUse, 7)});
  bench_.run(60s);
  const auto before = used(7);
  const auto gpu = bench_.gpu();
  const OutsideReading reading{gpu.uuid, gpu.instances.at(0).driver_id, 500, 30s};
  meter_.add_outside({reading}, bench_.clock_.now());
  EXPECT_EQ(used(7), before) << "NVML tells of this device itself";
}

}  // namespace
}  // namespace tessera::agent
