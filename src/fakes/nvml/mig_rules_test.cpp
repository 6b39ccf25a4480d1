#include "fakes/nvml/mig_rules.h"

#include <vector>

#include <gtest/gtest.h>

namespace tessera::fakes {
namespace {

class MigRules : public testing::Test {
 protected:
  explicit MigRules(std::string_view model = "H100-80GB-SXM5")
      : model_(catalog_.model(catalog_.find(model).value())) {
    gpu_.mig_current = 1;
  }
  std::size_t profile(int driver_id) const {
    for (std::size_t i = 0; i < model_.profiles.size(); ++i)
      if (model_.profiles[i].driver_profile_id == driver_id) return i;
    ADD_FAILURE() << "no profile " << driver_id;
    return 0;
  }
  /// Creates one after the other as the driver places them; the starts, or where it ended.
  std::vector<int> starts_of(std::vector<int> driver_ids) {
    std::vector<int> starts;
    for (const int id : driver_ids) {
      InstanceRecord* made = nullptr;
      const auto done = create_instance(gpu_, model_, profile(id), std::nullopt, made);
      starts.push_back(done == abi::kSuccess ? static_cast<int>(made->start) : -done);
    }
    return starts;
  }

  catalog::Catalog catalog_ = catalog::Catalog::built_in();
  const catalog::GpuModel& model_;
  GpuRecord gpu_{};
};

TEST_F(MigRules, TheDriversOwnOrderDecidesWhatFits) {
  EXPECT_EQ(starts_of({9, 19, 14, 19}), (std::vector{4, 3, 0, 2}));
  gpu_ = {};
  gpu_.mig_current = 1;
  EXPECT_EQ(starts_of({19, 19, 14, 9}), (std::vector{6, 5, 2, -abi::kInsufficientResources}));
}

TEST_F(MigRules, PlacesAreTheCatalogs) {
  InstanceRecord* made = nullptr;
  EXPECT_EQ(create_instance(gpu_, model_, profile(9), 1, made), abi::kInvalidArgument);
  EXPECT_EQ(create_instance(gpu_, model_, profile(9), 4, made), abi::kSuccess);
  EXPECT_EQ(create_instance(gpu_, model_, profile(0), 0, made), abi::kInsufficientResources);
  EXPECT_EQ(remaining(gpu_, model_, profile(19)), 4U);
  EXPECT_EQ(remaining(gpu_, model_, profile(5)), 1U);
}

TEST_F(MigRules, IdsAreReusedAndSerialsAreNot) {
  InstanceRecord* first = nullptr;
  ASSERT_EQ(create_instance(gpu_, model_, profile(19), 0, first), abi::kSuccess);
  const auto before = *first;
  ASSERT_EQ(destroy_instance(gpu_, *first), abi::kSuccess);
  InstanceRecord* second = nullptr;
  ASSERT_EQ(create_instance(gpu_, model_, profile(19), 3, second), abi::kSuccess);
  EXPECT_EQ(second->id, before.id);
  EXPECT_NE(second->serial, before.serial);
}

TEST_F(MigRules, WhatIsHeldIsNotDestroyed) {
  InstanceRecord* instance = nullptr;
  ASSERT_EQ(create_instance(gpu_, model_, profile(5), 0, instance), abi::kSuccess);
  ComputeInstanceRecord* compute = nullptr;
  const auto whole = find_compute_profile(model_.profiles[instance->profile], 3);
  ASSERT_TRUE(whole);
  ASSERT_EQ(create_compute(gpu_, *instance, *whole, std::nullopt, compute), abi::kSuccess);
  EXPECT_EQ(destroy_instance(gpu_, *instance), abi::kInUse) << "a compute instance is left";
  gpu_.processes[0] = {.pid = 1, .gpu_instance = instance->id, .compute_instance = compute->id};
  EXPECT_EQ(destroy_compute(gpu_, *instance, *compute), abi::kInUse);
  abi::Return activation = abi::kSuccess;
  EXPECT_EQ(set_mig_mode(gpu_, model_, false, activation), abi::kInUse);
  gpu_.processes[0] = {};
  EXPECT_EQ(destroy_compute(gpu_, *instance, *compute), abi::kSuccess);
  EXPECT_EQ(destroy_instance(gpu_, *instance), abi::kSuccess);
  EXPECT_EQ(set_mig_mode(gpu_, model_, false, activation), abi::kSuccess);
}

TEST_F(MigRules, ComputeInstancesShareTheirGpuInstance) {
  InstanceRecord* instance = nullptr;
  ASSERT_EQ(create_instance(gpu_, model_, profile(5), 0, instance), abi::kSuccess);
  const auto& profile = model_.profiles[instance->profile];
  const auto one = find_compute_profile(profile, 0).value();
  const auto two = find_compute_profile(profile, 1).value();
  ComputeInstanceRecord* made = nullptr;
  ASSERT_EQ(create_compute(gpu_, *instance, one, 1, made), abi::kSuccess);
  EXPECT_EQ(free_compute_starts(*instance, two), std::vector{2U});
  ASSERT_EQ(create_compute(gpu_, *instance, two, std::nullopt, made), abi::kSuccess);
  EXPECT_EQ(made->start, 2U);
  EXPECT_EQ(create_compute(gpu_, *instance, two, std::nullopt, made), abi::kInsufficientResources);
}

TEST_F(MigRules, AFaultFailsAsOftenAsItSays) {
  gpu_.faults.create = 2;
  EXPECT_EQ(starts_of({19, 19, 19}), (std::vector{-abi::kUnknown, -abi::kUnknown, 6}));
}

class MigRulesOfAmpere : public MigRules {
 protected:
  MigRulesOfAmpere() : MigRules("A100-80GB-SXM4") {}
};

TEST_F(MigRulesOfAmpere, AModeChangeWaitsForTheResetWhileInUse) {
  gpu_.mig_current = gpu_.mig_pending = 0;
  gpu_.processes[0] = {
      .pid = 1, .gpu_instance = abi::kAnyInstance, .compute_instance = abi::kAnyInstance};
  abi::Return activation = abi::kSuccess;
  EXPECT_EQ(set_mig_mode(gpu_, model_, true, activation), abi::kSuccess);
  EXPECT_EQ(activation, abi::kInUse);
  EXPECT_EQ(gpu_.mig_current, 0U);
  EXPECT_EQ(gpu_.mig_pending, 1U);
}

}  // namespace
}  // namespace tessera::fakes
