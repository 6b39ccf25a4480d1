#include "placement/place.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "placement/explain.h"
#include "placement/test_fleet.h"

namespace tessera::placement {
namespace {

using catalog::Isolation;
using catalog::Technology;
using request::Need;

std::string profile_of(const TestFleet& fleet, const Spot& spot) {
  const auto& model = fleet.catalog().model(fleet.fleet().pool(spot.pool).model);
  return fleet::profile_name(spot.grants.front().shape, model);
}

TEST(Place, TenGigabytesFitTheSmallestSliceAndTenGibibytesDoNot) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 8);
  const auto gb =
      fleet.place({.memory = *base::parse_memory("10GB"), .isolation = Isolation::kPartition});
  const auto gib =
      fleet.place({.memory = *base::parse_memory("10GiB"), .isolation = Isolation::kPartition});
  ASSERT_TRUE(gb && gib);
  EXPECT_EQ(profile_of(fleet, *gb), "1g.10gb");
  EXPECT_EQ(profile_of(fleet, *gib), "1g.20gb");
}

TEST(Place, StaysOffTheOnlyPlaceOfALargeProfile) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 1);
  const Need small{.memory = base::MiB(9000), .isolation = Isolation::kPartition};
  const auto spot = fleet.place(small);
  ASSERT_TRUE(spot);
  fleet.grant(*spot);
  // The only 4g placement is {0}:4, so a careful placer uses the other half first.
  const Need four{.sms = base::Sms(64), .isolation = Isolation::kPartition};
  EXPECT_TRUE(fleet.place(four));
}

TEST(Place, FillsAGpuBeforeOpeningTheNext) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 2, 4);
  const Need small{.memory = base::MiB(9000), .isolation = Isolation::kPartition};
  std::set<fleet::GpuIndex> used;
  for (int i = 0; i < 7; ++i) {
    const auto spot = fleet.place(small);
    ASSERT_TRUE(spot);
    used.insert(spot->grants.front().gpu);
    fleet.grant(*spot);
  }
  EXPECT_EQ(used.size(), 1u);
}

TEST(Place, WholeGpusComeFromOneNodeOrNotAtAll) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 2, 4);
  const Need three{.isolation = Isolation::kDedicated, .count = 3};
  for (int i = 0; i < 2; ++i) {
    const auto spot = fleet.place(three);
    ASSERT_TRUE(spot);
    for (const auto& grant : spot->grants) EXPECT_EQ(fleet.fleet().gpu(grant.gpu).node, spot->node);
    fleet.grant(*spot);
  }
  const auto third = fleet.place(three);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().reason, Reason::kNoCapacity);
  const auto two = fleet.place({.isolation = Isolation::kDedicated, .count = 2});
  ASSERT_FALSE(two);
  EXPECT_EQ(two.error().reason, Reason::kFragmented);
}

TEST(Place, LimitedNeverOversubscribesMemory) {
  TestFleet fleet;
  fleet.add_pool("dev", "L40S-48GB", 1, 1);
  const Need half{.memory = base::MiB(30'000), .isolation = Isolation::kLimited};
  const auto first = fleet.place(half);
  ASSERT_TRUE(first);
  fleet.grant(*first);
  EXPECT_FALSE(fleet.place(half));
  EXPECT_TRUE(fleet.place({.memory = base::MiB(15'000), .isolation = Isolation::kLimited}));
}

TEST(Place, OversubscribedComputeStopsAtTheTiersPromise) {
  TestFleet fleet;
  fleet.add_pool("dev", "L40S-48GB", 1, 1);
  const Need tenant{.memory = base::MiB(1000), .isolation = Isolation::kLimited};
  for (int i = 0; i < 4; ++i) {
    const auto spot = fleet.place(tenant);
    ASSERT_TRUE(spot) << i;
    fleet.grant(*spot);
  }
  EXPECT_FALSE(fleet.place(tenant));
}

TEST(Place, HostCpuAndMemoryAreLimitsOfTheNode) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 2, 2, base::MilliCpu(16'000), base::MiB(64'000));
  Need need{.isolation = Isolation::kDedicated, .cpu = base::MilliCpu(12'000)};
  for (int i = 0; i < 2; ++i) {
    const auto spot = fleet.place(need);
    ASSERT_TRUE(spot);
    fleet.grant(*spot, need.cpu, need.host_memory);
  }
  const auto third = fleet.place(need);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().reason, Reason::kHostResources);
}

TEST(Place, QuotaIsALimitEvenWithRoom) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 4);
  fleet.limit("h100", base::kWholeGpu);
  const Need whole{.isolation = Isolation::kDedicated};
  const auto first = fleet.place(whole);
  ASSERT_TRUE(first);
  fleet.grant(*first);
  const auto second = fleet.place(whole);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, Reason::kQuotaReached);
}

TEST(Match, SaysWhatCanNeverBe) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 4);
  const auto reason = [&](const Need& need) { return fleet.match(need).error().reason; };
  EXPECT_EQ(reason({.memory = base::MiB(200'000)}), Reason::kNeverFits);
  EXPECT_EQ(reason({.isolation = Isolation::kDedicated, .count = 5}), Reason::kNeverFits);
  EXPECT_EQ(reason({.isolation = Isolation::kDedicated, .duration = std::chrono::hours(24 * 400)}),
            Reason::kInvalidQuantity);
  EXPECT_EQ(reason({.pool = "nope"}), Reason::kUnknownObject);
  EXPECT_EQ(reason({.models = {"nope"}}), Reason::kUnknownObject);
  fleet.limit("h100", base::GpuFraction(1));
  EXPECT_EQ(reason({.isolation = Isolation::kPartition}), Reason::kAboveLimit);
}

TEST(Explain, NamesEveryBlockerAndWhatWouldFit) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 2);
  // One 3g on each GPU, where it strands the only 4g placement of neither.
  for (int i = 0; i < 2; ++i) {
    const auto spot = fleet.place({.sms = base::Sms(64), .isolation = Isolation::kPartition});
    ASSERT_TRUE(spot);
    fleet.grant(*spot);
  }
  const auto why = fleet.explain({.sms = base::Sms(64), .isolation = Isolation::kPartition});
  EXPECT_FALSE(why.spot);
  ASSERT_FALSE(why.blockers.empty());
  const auto& blocker = why.blockers.front();
  EXPECT_EQ(blocker.gpus, 2);
  EXPECT_EQ(blocker.full + blocker.wrong_layout + blocker.scrubbing + blocker.away + blocker.host +
                blocker.fitting,
            blocker.gpus);
}

TEST(Explain, TheUnitHintComesWithAnswersToo) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 2);
  const auto why = fleet.explain({.memory = base::MiB(10'240), .isolation = Isolation::kPartition});
  EXPECT_TRUE(why.spot);
  ASSERT_EQ(why.hints.size(), 1u);
  EXPECT_NE(why.hints.front().find("1g.10gb"), std::string::npos);
}

/// The index against the obvious way: look at every GPU.
class IndexOracle : public testing::TestWithParam<std::uint64_t> {};

TEST_P(IndexOracle, PlacesIfAndOnlyIfSomeGpuFits) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 2, 3);
  fleet.add_pool("a30", "A30-24GB", 1, 4);
  fleet.add_pool("dev", "L40S-48GB", 1, 2);
  base::SeededRandom random(GetParam());
  const Need needs[] = {
      {.memory = base::MiB(9000), .isolation = Isolation::kPartition},
      {.memory = base::MiB(19'000), .isolation = Isolation::kPartition},
      {.memory = base::MiB(40'000), .isolation = Isolation::kPartition},
      {.isolation = Isolation::kDedicated},
      {.memory = base::MiB(8000), .isolation = Isolation::kLimited},
      {.memory = base::MiB(5000), .isolation = Isolation::kPartition, .models = {"A30-24GB"}},
  };
  for (int step = 0; step < 400; ++step) {
    if (random.chance(2, 5)) {
      fleet.free_one(random);
      continue;
    }
    const auto& need = needs[random.below(std::size(needs))];
    const auto spot = fleet.place(need);
    EXPECT_EQ(spot.has_value(), fleet.some_gpu_fits(need)) << step;
    if (spot) fleet.grant(*spot);
    ASSERT_TRUE(fleet.index_is_fresh()) << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, IndexOracle, testing::Range<std::uint64_t>(1, 21));

}  // namespace
}  // namespace tessera::placement
