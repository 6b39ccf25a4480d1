#include "placement/place.h"

#include <set>

#include <gtest/gtest.h>

#include "base/random.h"
#include "placement/explain.h"
#include "placement/fit.h"
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

TEST(Place, AShareKeepsWhatItsNeighboursWerePromised) {
  TestFleet fleet;
  fleet.add_pool("dev", "L40S-48GB", 1, 1);
  const auto& pool = fleet.fleet().pool(fleet::PoolIndex(0));
  const auto& model = fleet.catalog().model(pool.model);
  const auto share = [](std::uint16_t tenants, Isolation isolation) {
    return Candidate{.technology = Technology::kTimeSlicing,
                     .share = {base::MiB(100), base::MilliShare(10), 4, tenants, isolation}};
  };
  const auto few = share(4, Isolation::kLimited), many = share(16, Isolation::kLimited);
  fleet::Occupancy gpu;
  const auto add = [&](const Candidate& candidate) {
    const auto found = fit(model, pool, gpu, candidate);
    if (found) gpu = with(gpu, *found);
    return found.has_value();
  };
  EXPECT_TRUE(add(few) && add(many) && add(many));
  EXPECT_FALSE(fit(model, pool, gpu, share(16, Isolation::kShared)))
      << "nothing would hold it to its part";
  EXPECT_TRUE(add(many));
  EXPECT_FALSE(add(many)) << "the first was promised three neighbours at most";
  gpu = {};
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(add(many));
  EXPECT_FALSE(add(few)) << "it would have too many neighbours from the start";
  EXPECT_TRUE(add(many));
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

TEST(Place, SharesFillAGpuBeforeTheyOpenAnother) {
  TestFleet fleet;
  fleet.add_pool("dev", "L40S-48GB", 3, 8);
  std::set<fleet::GpuIndex> used;
  for (int i = 0; i < 8; ++i) {
    const auto spot = fleet.place({.memory = base::MiB(5'000), .isolation = Isolation::kLimited});
    ASSERT_TRUE(spot);
    used.insert(spot->grants.front().gpu);
    fleet.grant(*spot);
  }
  EXPECT_EQ(used.size(), 2u) << "four tenants with a quarter of the compute each";
}

TEST(Place, WholeGpusLeaveEmptyNodesEmpty) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 3, 8);
  const Need one{.isolation = Isolation::kDedicated};
  std::set<fleet::NodeIndex> used;
  for (int i = 0; i < 8; ++i) {
    const auto spot = fleet.place(one);
    ASSERT_TRUE(spot);
    used.insert(spot->node);
    fleet.grant(*spot);
  }
  EXPECT_EQ(used.size(), 1u);
}

TEST(Place, LearnsWhichLeftoversAreUseful) {
  TestFleet fleet;
  fleet.add_pool("dev", "L40S-48GB", 1, 2);
  const auto share = [](std::int64_t mib) {
    return Need{.memory = base::MiB(mib),
                .compute = base::MilliShare(100),
                .isolation = Isolation::kLimited};
  };
  const auto all = fleet.catalog().model(*fleet.catalog().find("L40S-48GB")).memory.count();
  for (int i = 0; i < 1000; ++i) fleet.observe(share(i % 2 == 0 ? all * 7 / 10 : all * 3 / 10));
  for (const auto mib : {all * 7 / 10, all * 7 / 10}) {
    const auto spot = fleet.place(share(mib));
    ASSERT_TRUE(spot);
    fleet.grant(*spot);
  }
  // Each GPU has three tenths left, the very size that is asked for, and both get one.
  for (int i = 0; i < 2; ++i) {
    const auto spot = fleet.place(share(all * 3 / 10));
    ASSERT_TRUE(spot);
    fleet.grant(*spot);
  }
}

TEST(Place, SlicesOfOneRequestShareANode) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 3, 2);
  const Need nine{.memory = base::MiB(9000), .isolation = Isolation::kPartition, .count = 9};
  for (int i = 0; i < 3; ++i) {
    const auto spot = fleet.place(nine);
    ASSERT_TRUE(spot);
    ASSERT_EQ(spot->grants.size(), 9u);
    for (const auto& grant : spot->grants) EXPECT_EQ(fleet.fleet().gpu(grant.gpu).node, spot->node);
    fleet.grant(*spot);
  }
  EXPECT_FALSE(fleet.place(nine));
  const Need five{.memory = base::MiB(9000), .isolation = Isolation::kPartition, .count = 5};
  EXPECT_TRUE(fleet.place(five));
}

/// Placing against the obvious ways: looking at every node, and building everything anew.
class PlaceOracle : public testing::TestWithParam<std::uint64_t> {
 protected:
  static std::vector<Need> needs() {
    std::vector<Need> needs = {
        {.memory = base::MiB(9000), .isolation = Isolation::kPartition},
        {.memory = base::MiB(19'000), .isolation = Isolation::kPartition},
        {.memory = base::MiB(40'000), .isolation = Isolation::kPartition},
        {.memory = base::MiB(9000), .isolation = Isolation::kPartition, .count = 3},
        {.isolation = Isolation::kDedicated},
        {.isolation = Isolation::kDedicated, .count = 2},
        {.memory = base::MiB(8000), .isolation = Isolation::kLimited},
        {.memory = base::MiB(3000),
         .compute = base::MilliShare(300),
         .isolation = Isolation::kLimited},
        {.memory = base::MiB(20'000), .isolation = Isolation::kLimited, .count = 2},
        {.memory = base::MiB(5000), .isolation = Isolation::kPartition, .models = {"A30-24GB"}},
    };
    const auto plain = needs;
    for (std::size_t i = 0; i < plain.size(); ++i) {
      needs.push_back(plain[i]);
      needs.back().cpu = base::MilliCpu(1000 + static_cast<std::int64_t>(i) * 700);
      needs.back().host_memory = base::MiB(4000);
    }
    return needs;
  }

  static std::string text(const std::expected<Spot, Refusal>& placed) {
    if (!placed) return "refused: " + placed.error().message;
    std::string text = "node " + std::to_string(placed->node.value());
    for (const auto& grant : placed->grants)
      text += " " + std::to_string(grant.gpu.value()) + "/" + std::to_string(grant.shape.index()) +
              "/" + std::to_string(grant.reuses) + "/" + std::to_string(grant.retires.size());
    return text;
  }
};

TEST_P(PlaceOracle, FindsRoomWhereverThereIsSomeAndRemembersNothingWrong) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 3, 3, base::MilliCpu(24'000), base::MiB(64'000));
  fleet.add_pool("a30", "A30-24GB", 2, 4);
  fleet.add_pool("dev", "L40S-48GB", 2, 2, base::MilliCpu(16'000));
  base::SeededRandom random(GetParam());
  const auto all = needs();
  for (int step = 0; step < 300; ++step) {
    if (random.chance(2, 5)) {
      fleet.free_one(random);
      continue;
    }
    if (random.chance(1, 20)) fleet.turn_node(random);
    const auto& need = all[random.below(all.size())];
    fleet.observe(need);
    const auto spot = fleet.place(need);
    ASSERT_EQ(text(spot), text(fleet.place_afresh(need))) << step;
    ASSERT_EQ(spot.has_value(), fleet.some_node_fits(need)) << step;
    const auto best = fleet.best_ranked(need);
    const auto least = fleet.least_loss(need);
    ASSERT_EQ(best.has_value(), least.has_value()) << step;
    if (best) {
      ASSERT_EQ(best->loss, *least) << step;
    }
    if (spot) fleet.grant(*spot, need.cpu, need.host_memory);
    ASSERT_TRUE(fleet.index_is_fresh()) << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PlaceOracle, testing::Range<std::uint64_t>(1, 21));

/// How many slices fit is how often one more does.
class RoomOracle : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RoomOracle, IsWhatFitsOneAfterTheOther) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 1);
  const auto& pool = fleet.fleet().pool(fleet::PoolIndex(0));
  const auto& model = fleet.catalog().model(pool.model);
  base::SeededRandom random(GetParam());
  const auto some = [&]() -> Candidate {
    if (random.chance(1, 3))
      return {
          .technology = Technology::kTimeSlicing,
          .share = {base::MiB(1 + random.below(30'000)), base::MilliShare(1 + random.below(900)),
                    static_cast<std::uint16_t>(1 + random.below(4)),
                    static_cast<std::uint16_t>(1 + random.below(8)),
                    random.chance(1, 3) ? Isolation::kShared : Isolation::kLimited}};
    return {.technology = Technology::kMig,
            .profile = static_cast<std::uint16_t>(random.below(model.profiles.size()))};
  };
  for (int round = 0; round < 200; ++round) {
    fleet::Occupancy occupancy;
    for (auto held = random.below(4); held > 0; --held)
      if (const auto next = fit(model, pool, occupancy, some())) occupancy = with(occupancy, *next);
    const auto candidate = some();
    std::int64_t count = 0;
    for (auto filled = occupancy;; ++count) {
      ASSERT_EQ(room(model, pool, filled, candidate),
                room(model, pool, occupancy, candidate) - count);
      const auto next = fit(model, pool, filled, candidate);
      if (!next) break;
      filled = with(filled, *next);
    }
    EXPECT_EQ(room(model, pool, occupancy, candidate), count);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RoomOracle, testing::Range<std::uint64_t>(1, 6));

}  // namespace
}  // namespace tessera::placement
