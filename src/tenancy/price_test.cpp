#include "tenancy/price.h"

#include <gtest/gtest.h>

namespace tessera::tenancy {
namespace {

using base::fraction_of;
using base::GpuFraction;
using base::kWholeGpu;
using fleet::Cost;

Tier priced(std::int64_t micro) {
  return Tier{.price = MicroMoney(micro)};
}

TEST(Price, IsTheMeanOfComputeAndMemory) {
  const Tier tier = priced(2'800'000);
  EXPECT_EQ(price_per_hour(Cost{kWholeGpu, kWholeGpu}, tier).count(), 2'800'000);
  // 1g.10gb: a seventh of the compute, an eighth of the memory.
  EXPECT_EQ(price_per_hour(Cost{fraction_of(1, 7), fraction_of(1, 8)}, tier).count(), 375'000);
  EXPECT_EQ(price_per_hour(Cost{}, tier).count(), 0);
}

TEST(Price, RoundsToTheNearestMillionth) {
  EXPECT_EQ(price_per_hour(Cost{GpuFraction(1), GpuFraction(0)}, priced(42'000)).count(), 1);
  EXPECT_EQ(price_per_hour(Cost{GpuFraction(1), GpuFraction(0)}, priced(21'000)).count(), 1);
  EXPECT_EQ(price_per_hour(Cost{GpuFraction(1), GpuFraction(0)}, priced(20'999)).count(), 0);
}

TEST(Price, SurvivesTheLargestInputs) {
  const Cost many{kWholeGpu * 64, kWholeGpu * 64};
  EXPECT_EQ(price_per_hour(many, priced(MicroMoney::kLargest)).count(), 64 * MicroMoney::kLargest);
}

TEST(Money, HasTwoToSixDecimals) {
  EXPECT_EQ(money_text(MicroMoney(0)), "0.00");
  EXPECT_EQ(money_text(MicroMoney(2'800'000)), "2.80");
  EXPECT_EQ(money_text(MicroMoney(375'000)), "0.375");
  EXPECT_EQ(money_text(MicroMoney(133'929)), "0.133929");
  EXPECT_EQ(money_text(MicroMoney(1)), "0.000001");
  EXPECT_EQ(money_text(MicroMoney(-1'500'000)), "-1.50");
}

}  // namespace
}  // namespace tessera::tenancy
