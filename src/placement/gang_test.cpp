#include <set>

#include <gtest/gtest.h>

#include "base/random.h"
#include "placement/place.h"
#include "placement/test_fleet.h"

namespace tessera::placement {
namespace {

using catalog::Isolation;
using request::Need;
using request::Nvlink;

constexpr auto kWhole = Isolation::kDedicated;

/// The numbers of the GPUs on one node.
std::set<int> numbers_on(const TestFleet& fleet, const Spot& spot, fleet::NodeIndex node) {
  std::set<int> numbers;
  for (const auto& grant : spot.grants)
    if (fleet.fleet().gpu(grant.gpu).node == node)
      numbers.insert(fleet.fleet().gpu(grant.gpu).number);
  return numbers;
}
std::set<int> numbers_of(const TestFleet& fleet, const Spot& spot) {
  return numbers_on(fleet, spot, spot.node);
}

TEST(Nvlink, ARequestTakesTheSmallestIslandThatHoldsIt) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 8, {}, {}, {{0, 1, 2, 3}, {4, 5}, {6, 7}});
  const auto two = fleet.place({.isolation = kWhole, .count = 2});
  ASSERT_TRUE(two);
  EXPECT_EQ(numbers_of(fleet, *two), (std::set{4, 5}));
  fleet.grant(*two);
  const auto four = fleet.place({.isolation = kWhole, .count = 4});
  ASSERT_TRUE(four);
  EXPECT_EQ(numbers_of(fleet, *four), (std::set{0, 1, 2, 3}));
}

TEST(Nvlink, OneGpuComesFromTheIslandWithFewestLeft) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 7, {}, {}, {{0, 1, 2, 3}, {4, 5}});
  std::vector<int> order;
  for (int i = 0; i < 4; ++i) {
    const auto spot = fleet.place({.isolation = kWhole});
    ASSERT_TRUE(spot);
    order.push_back(*numbers_of(fleet, *spot).begin());
    fleet.grant(*spot);
  }
  EXPECT_EQ(order, (std::vector{6, 4, 5, 0}));
}

TEST(Nvlink, ANodeThatKeepsThemTogetherIsBetterThanOneThatDoesNot) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 2, 4, {}, {}, {{0, 1}, {2, 3}});
  // One GPU of each pair of the first node is taken, so that its other two are apart.
  for (const int number : {0, 2}) {
    Spot taken{.pool = fleet::PoolIndex(0), .node = fleet::NodeIndex(0)};
    taken.grants = {
        {.gpu = fleet.fleet().node(fleet::NodeIndex(0)).gpus[static_cast<std::size_t>(number)],
         .shape = fleet::WholeSlice{}}};
    fleet.grant(taken);
  }
  const auto spot = fleet.place({.isolation = kWhole, .count = 2});
  ASSERT_TRUE(spot);
  EXPECT_EQ(spot->node, fleet::NodeIndex(1));
}

TEST(Nvlink, PreferredIsSplitOverAsFewIslandsAsCanBeAndRequiredWaits) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 8, {}, {}, {{0, 1, 2}, {3, 4, 5}, {6, 7}});
  const auto five = fleet.place({.isolation = kWhole, .count = 5});
  ASSERT_TRUE(five);
  EXPECT_EQ(numbers_of(fleet, *five), (std::set{0, 1, 2, 6, 7}));
  fleet.grant(*fleet.place({.isolation = kWhole, .count = 2}));
  fleet.grant(*fleet.place({.isolation = kWhole, .count = 1}));
  fleet.grant(*fleet.place({.isolation = kWhole, .count = 3}));
  const Need two{.isolation = kWhole, .count = 2, .nvlink = Nvlink::kRequired};
  EXPECT_TRUE(fleet.place(two));
  const Need three{.isolation = kWhole, .count = 3, .nvlink = Nvlink::kRequired};
  const auto refused = fleet.place(three);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kNoCapacity);
}

TEST(Nvlink, WhatNoIslandCouldEverHoldNeverFits) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 8, {}, {}, {{0, 1, 2, 3}, {4, 5, 6, 7}});
  const auto five = fleet.match({.isolation = kWhole, .count = 5, .nvlink = Nvlink::kRequired});
  ASSERT_FALSE(five);
  EXPECT_EQ(five.error().reason, Reason::kNeverFits);
  EXPECT_EQ(five.error().where, "spec.nvlink");
  EXPECT_TRUE(fleet.match({.isolation = kWhole, .count = 5}));
}

TEST(Nvlink, IsRefusedWithItsReasonWhereNobodyLendsWholeGpus) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 4);
  const auto refused =
      fleet.match({.count = 2, .tier = "development", .nvlink = Nvlink::kRequired});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kNeverFits);
  EXPECT_EQ(refused.error().where, "spec.nvlink");
  EXPECT_NE(refused.error().what.find("NVLink is for whole GPUs"), std::string::npos)
      << refused.error().what;
}

TEST(Nvlink, TheExplanationSaysWhatIsLinkedAndWhatWouldFitWithoutLinks) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 4, {}, {}, {{0, 1}, {2, 3}});
  fleet.grant(*fleet.place({.isolation = kWhole}));
  const Need two{.isolation = kWhole, .count = 2, .nvlink = Nvlink::kRequired};
  const auto fits = fleet.explain(two);
  ASSERT_TRUE(fits.spot);
  EXPECT_EQ(fits.hints, std::vector<std::string>{"NVLink links all 2 GPUs on h100-0"});
  fleet.grant({.pool = fleet::PoolIndex(0),
               .node = fleet::NodeIndex(0),
               .grants = {{.gpu = fleet.fleet().node(fleet::NodeIndex(0)).gpus[2],
                           .shape = fleet::WholeSlice{}}}});
  const auto apart = fleet.explain(two);
  ASSERT_FALSE(apart.spot);
  EXPECT_EQ(apart.reason, Reason::kFragmented);
  ASSERT_FALSE(apart.alternatives.empty());
  EXPECT_EQ(apart.alternatives.front().need.nvlink, Nvlink::kPreferred);
}

TEST(Gang, HasItsPartsOnDifferentNodesOfOnePool) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 3, 4);
  fleet.add_pool("a100", "A100-80GB-SXM4", 2, 4);
  const Need gang{.isolation = kWhole, .count = 4, .nodes = 3};
  const auto spot = fleet.place(gang);
  ASSERT_TRUE(spot);
  EXPECT_EQ(spot->grants.size(), 12u);
  EXPECT_EQ(fleet.nodes_of(*spot).size(), 3u);
  fleet.grant(*spot);
  EXPECT_FALSE(fleet.place(gang)) << "what the other pool has is not enough";
}

TEST(Gang, ThatNoPoolCouldHoldNeverFits) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 3, 4);
  const auto four = fleet.match({.isolation = kWhole, .count = 4, .nodes = 4});
  ASSERT_FALSE(four);
  EXPECT_EQ(four.error().reason, Reason::kNeverFits);
  EXPECT_EQ(four.error().where, "spec.nodes");
}

TEST(Gang, IsOfferedFewerNodesWhereFewerFit) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 4, 2);
  fleet.grant(*fleet.place({.isolation = kWhole, .count = 2}));
  const auto why = fleet.explain({.isolation = kWhole, .count = 2, .nodes = 4});
  ASSERT_FALSE(why.spot);
  EXPECT_EQ(why.blockers.front().detail,
            "8 GPUs in h100: 2 full, 6 with room for one slice, not for all on 4 nodes at once");
  ASSERT_EQ(why.alternatives.size(), 1u);
  EXPECT_EQ(why.alternatives.front().need.nodes, 3);
}

/// Random loads: a gang finds room exactly where enough nodes have it, and GPUs are linked exactly
/// where some node could link them.
class GangOracle : public testing::TestWithParam<std::uint64_t> {};

TEST_P(GangOracle, FindsRoomWhereverThereIsSomeAndLinksWhereItCan) {
  TestFleet fleet;
  fleet.add_pool("quads", "H100-80GB-SXM5", 3, 8, base::MilliCpu(64'000), {},
                 {{0, 1, 2, 3}, {4, 5, 6, 7}});
  fleet.add_pool("pairs", "H100-80GB-SXM5", 3, 5, {}, {}, {{0, 3}, {1, 2}});
  fleet.add_pool("switched", "A100-80GB-SXM4", 2, 4, {}, {}, {{0, 1, 2, 3}});
  fleet.add_pool("plain", "A30-24GB", 3, 3);
  base::SeededRandom random(GetParam());
  for (int step = 0; step < 250; ++step) {
    if (random.chance(1, 2)) {
      fleet.free_one(random);
      continue;
    }
    if (random.chance(1, 20)) fleet.turn_node(random);
    Need need{.isolation = random.chance(3, 4) ? kWhole : Isolation::kPartition,
              .count = static_cast<int>(1 + random.below(5)),
              .nodes = static_cast<int>(1 + random.below(3))};
    if (random.chance(1, 4)) need.memory = base::MiB(9000);
    if (random.chance(1, 4)) need.cpu = base::MilliCpu(16'000);
    if (need.count > 1 && random.chance(1, 3)) need.nvlink = Nvlink::kRequired;
    const auto spot = fleet.place(need);
    const auto afresh = fleet.place_afresh(need);
    ASSERT_EQ(spot.has_value(), fleet.some_node_fits(need)) << step;
    ASSERT_EQ(spot.has_value(), afresh.has_value()) << step;
    if (!spot) continue;
    ASSERT_EQ(fleet.nodes_of(*spot).size(), static_cast<std::size_t>(need.nodes)) << step;
    ASSERT_EQ(fleet.nodes_of(*spot), fleet.nodes_of(*afresh)) << step;
    const bool whole = std::holds_alternative<fleet::WholeSlice>(spot->grants.front().shape);
    for (const auto node : fleet.nodes_of(*spot)) {
      const auto numbers = numbers_on(fleet, *spot, node);
      if (!whole) continue;
      ASSERT_EQ(numbers.size(), static_cast<std::size_t>(need.count)) << step;
      if (need.count < 2 || fleet.most_linked(node) < need.count) {
        ASSERT_FALSE(need.linked()) << step;
        continue;
      }
      const auto& islands = fleet.fleet().node(node).nvlink;
      ASSERT_TRUE(std::ranges::any_of(islands, [&](const auto& island) {
        return std::ranges::all_of(
            numbers, [&](int number) { return std::ranges::find(island, number) != island.end(); });
      })) << step;
    }
    fleet.grant(*spot, need.cpu, need.host_memory);
    ASSERT_TRUE(fleet.index_is_fresh()) << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, GangOracle, testing::Range<std::uint64_t>(1, 31));

}  // namespace
}  // namespace tessera::placement
