#include "placement/worth.h"

#include <gtest/gtest.h>

#include "placement/test_fleet.h"

namespace tessera::placement {
namespace {

const fleet::PoolIndex kPool{0};

request::Need share(const TestFleet& fleet, std::int64_t thousandths) {
  const auto& model = fleet.catalog().model(fleet.fleet().pool(kPool).model);
  return {.memory = base::MiB(model.memory.count() * thousandths / 1000),
          .compute = base::MilliShare(1),
          .isolation = catalog::Isolation::kLimited};
}

TEST(Worth, RisesWithWhatIsFree) {
  TestFleet fleet;
  fleet.add_pool("dev", "L40S-48GB", 1, 2);
  const auto& worth = fleet.world().index.worth();
  EXPECT_EQ(worth.appeal(kPool, 0), 0);
  EXPECT_EQ(worth.appeal(kPool, 1000), 1000);
  for (int free = 1; free <= 1000; ++free)
    EXPECT_GE(worth.appeal(kPool, free), worth.appeal(kPool, free - 1)) << free;
  const NodeRoom one{.appeal = 1000, .empty = 1}, two{.appeal = 2000, .empty = 2};
  EXPECT_GT(worth.of(kPool, two), worth.of(kPool, one));
  EXPECT_EQ(worth.of(kPool, {}), 0);
}

TEST(Worth, WhatNobodyAsksForIsWorthLittle) {
  TestFleet fleet;
  fleet.add_pool("dev", "L40S-48GB", 1, 2);
  for (int i = 0; i < 4000; ++i) fleet.observe(share(fleet, 400));
  const auto& worth = fleet.world().index.worth();
  const auto of = [&](int free) { return worth.appeal(kPool, free); };
  EXPECT_LT(of(390), 20) << "too little for anything but a rare need";
  EXPECT_LT(of(790) - of(410), 20) << "no more than for one";
  EXPECT_GT(of(410) - of(390), 400);
}

TEST(Worth, AHostThatIsUsedUpMakesItsGpusWorthLess) {
  TestFleet fleet;
  fleet.add_pool("dev", "L40S-48GB", 1, 2, base::MilliCpu(64'000), base::MiB(1 << 18));
  auto need = share(fleet, 500);
  need.cpu = base::MilliCpu(8'000);
  for (int i = 0; i < 4000; ++i) fleet.observe(need);
  const auto& worth = fleet.world().index.worth();
  const auto with_cores = [&](std::int64_t cores) {
    return worth.of(kPool, {.cpu = cores * 1000, .memory = 1 << 18, .appeal = 2000, .empty = 2});
  };
  EXPECT_FLOAT_EQ(with_cores(64), with_cores(40)) << "four shares take 32";
  EXPECT_GT(with_cores(40), with_cores(16));
  EXPECT_GT(with_cores(16), 5 * with_cores(4));
}

TEST(Worth, ModelsThatAreNamedAreDearWhereTheyAreScarce) {
  TestFleet fleet;
  fleet.add_pool("a", "L40S-48GB", 1, 2);
  fleet.add_pool("b", "A30-24GB", 1, 8);
  const auto price = [&](int pool) { return fleet.world().index.price(fleet::PoolIndex(pool)); };
  EXPECT_EQ(price(0), price(1));
  for (int i = 0; i < 100; ++i) {
    fleet.observe({.memory = base::MiB(9000), .isolation = catalog::Isolation::kLimited});
    fleet.observe({.memory = base::MiB(9000),
                   .isolation = catalog::Isolation::kLimited,
                   .models = {"L40S-48GB"}});
  }
  EXPECT_GT(price(0), 0.2);
  EXPECT_EQ(price(1), 0);
}

}  // namespace
}  // namespace tessera::placement
