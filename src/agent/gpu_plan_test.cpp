#include "agent/gpu_plan.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace tessera::agent {
namespace {

using device::InstanceState;
using fleet::MigSlice;
using fleet::SlicePhase;
using fleet::SliceStatus;

/// What is planned for one H100 in MIG mode on which somebody else has made an instance.
class ForeignInstance : public testing::Test {
 protected:
  ForeignInstance() {
    state_.uuid = "GPU-1";
    state_.mig_current = state_.mig_pending = true;
    target_.uuid = state_.uuid;
    target_.mig = true;
    state_.instances.push_back(
        {device::spec_of(model_, at("1g.10gb", 0)).value(), 1, "MIG-theirs", {}, true});
  }
  catalog::InstanceIndex at(std::string_view profile, int start) const {
    return model_.find_instance(profile, start).value();
  }
  void want(catalog::InstanceIndex index, SlicePhase phase) {
    target_.slices.push_back({MigSlice{index}, target_.slices.size() + 1, phase,
                              phase == SlicePhase::kIdle ? fleet::LeaseId() : fleet::LeaseId(1)});
  }
  GpuPlan plan() const { return plan_gpu({target_, state_, &model_, can_, GpuMemory{}, nullptr}); }

  catalog::Catalog catalog_ = catalog::Catalog::built_in();
  const catalog::GpuModel& model_ = catalog_.model(catalog_.find("H100-80GB-SXM5").value());
  device::GpuState state_;
  fleet::GpuTarget target_;
  device::Capabilities can_{{catalog::Technology::kMig}, false, 8};
};

TEST_F(ForeignInstance, IsNotDestroyedThoughNobodyWantsIt) {
  EXPECT_TRUE(plan().steps.empty());
  state_.instances[0].foreign = false;
  ASSERT_EQ(plan().steps.size(), 1U) << "one of our own goes";
}

TEST_F(ForeignInstance, IsNotUsedThoughItIsWhereASliceBelongs) {
  want(at("1g.10gb", 0), SlicePhase::kPreparing);
  const auto plan = this->plan();
  EXPECT_TRUE(plan.steps.empty());
  EXPECT_EQ(plan.slices[0].status, SliceStatus::kPending);
  EXPECT_NE(plan.slices[0].detail.find("MIG-theirs was not made"), std::string::npos);
}

TEST_F(ForeignInstance, WhatNeedsItsPlaceWaitsAndTheRestGoesOn) {
  want(at("4g.40gb", 0), SlicePhase::kPreparing);
  want(at("3g.40gb", 4), SlicePhase::kPreparing);
  const auto plan = this->plan();
  ASSERT_EQ(plan.steps.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<device::CreateInstance>(plan.steps[0].operation));
  EXPECT_NE(plan.slices[0].detail.find("its place is taken"), std::string::npos);
}

TEST_F(ForeignInstance, KeepsMigModeOn) {
  target_.mig = false;
  target_.slices.push_back({fleet::WholeSlice{}, 1, SlicePhase::kPreparing, fleet::LeaseId(1)});
  can_.technologies.push_back(catalog::Technology::kWhole);
  const auto plan = this->plan();
  EXPECT_TRUE(plan.steps.empty());
  EXPECT_NE(plan.slices[0].detail.find("MIG instances stay"), std::string::npos);
}

TEST_F(ForeignInstance, OursThatWasInItsPlaceCountsAsClean) {
  want(at("1g.10gb", 0), SlicePhase::kScrubbing);
  EXPECT_EQ(plan().slices[0].status, SliceStatus::kClean);
}

/// Once such a place was called clean and granted again and again, to one lease after the other.
TEST_F(ForeignInstance, APlaceWithSomebodysProgramInItIsNotClean) {
  auto& instance = state_.instances[0];
  instance.foreign = false;
  state_.processes.push_back({.pid = 7, .device = instance.device, .tenant = fleet::LeaseId(9)});
  want(at("2g.20gb", 0), SlicePhase::kScrubbing);
  const auto before = plan();
  EXPECT_EQ(before.slices[0].status, SliceStatus::kPending);
  EXPECT_NE(before.slices[0].detail.find("its place is taken"), std::string::npos);
  EXPECT_TRUE(before.steps.empty());
  state_.processes.clear();
  EXPECT_EQ(plan().slices[0].status, SliceStatus::kClean);
}

}  // namespace
}  // namespace tessera::agent
