#include "tenancy/tier.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace tessera::tenancy {
namespace {

using catalog::Isolation;
using catalog::Technology;

TEST(Tier, NeverGivesLessThanItPromises) {
  Tier tier{.name = "t",
            .isolation = Isolation::kPartition,
            .technologies = {Technology::kMig, Technology::kTimeSlicing, Technology::kWhole}};
  EXPECT_EQ(tier.isolation_with(Technology::kMig), Isolation::kPartition);
  EXPECT_EQ(tier.isolation_with(Technology::kWhole), Isolation::kDedicated);
  EXPECT_EQ(tier.isolation_with(Technology::kTimeSlicing), std::nullopt);
  EXPECT_EQ(tier.isolation_with(Technology::kVgpu), std::nullopt);
}

TEST(Tier, PlainTimeSlicingIsNeverCalledLimited) {
  Tier tier{
      .name = "t", .isolation = Isolation::kShared, .technologies = {Technology::kTimeSlicing}};
  EXPECT_EQ(tier.isolation_with(Technology::kTimeSlicing), Isolation::kShared);
  tier.isolation = Isolation::kLimited;
  EXPECT_EQ(tier.isolation_with(Technology::kTimeSlicing), Isolation::kLimited);
}

TEST(Tier, DefaultsRunFromDevelopmentToProduction) {
  auto tiers = default_tiers();
  std::ranges::sort(tiers, lesser);
  ASSERT_EQ(tiers.size(), 3u);
  EXPECT_EQ(tiers[0].name, "development");
  EXPECT_EQ(tiers[1].name, "staging");
  EXPECT_EQ(tiers[2].name, "production");
}

}  // namespace
}  // namespace tessera::tenancy
