#include <gtest/gtest.h>

#include "simulation/inflation.h"

/// A sample of a real trace through the production placement.
namespace tessera::simulation {
namespace {

const std::string kData = TESSERA_TEST_DATA "/openb/";

/// A list of pods, and what of the fleet is allocated at least when arrivals total 100 and 130
/// percent, mean of six seeds. Samples pack less well than whole lists.
struct Mark {
  const char* pods;
  double at_100;
  double at_130;
};

class OpenbTest : public testing::TestWithParam<Mark> {};

TEST_P(OpenbTest, FillsTheFleetAsWellAsItDid) {
  const auto nodes = read_trace_nodes(kData + "nodes.csv");
  const auto pods = read_trace_pods(kData + GetParam().pods);
  ASSERT_TRUE(nodes.has_value()) << base::to_string(nodes.error());
  ASSERT_TRUE(pods.has_value()) << base::to_string(pods.error());
  constexpr int kSeeds = 6;
  double at_100 = 0, at_130 = 0;
  for (std::uint64_t seed = 42; seed < 42 + kSeeds; ++seed) {
    const auto result = inflate(*nodes, *pods, {.seed = seed});
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->arrived, result->placed + result->lost);
    at_100 += result->allocation.at(100) / kSeeds;
    at_130 += result->allocation.at(130) / kSeeds;
  }
  EXPECT_GE(at_100, GetParam().at_100);
  EXPECT_GE(at_130, GetParam().at_130);
}

INSTANTIATE_TEST_SUITE_P(Lists, OpenbTest,
                         testing::Values(Mark{"pods.csv", 94.2, 94.4},
                                         Mark{"pods_gpushare100.csv", 86.6, 87},
                                         Mark{"pods_cpu250.csv", 92.6, 92.9}));

TEST(OpenbMovesTest, OnePercentOfMovesFillsTheFleetBetter) {
  const auto nodes = read_trace_nodes(kData + "nodes.csv");
  ASSERT_TRUE(nodes.has_value());
  double gained = 0;
  for (const auto* list : {"pods.csv", "pods_gpushare100.csv", "pods_cpu250.csv"}) {
    const auto pods = read_trace_pods(kData + list);
    ASSERT_TRUE(pods.has_value());
    for (std::uint64_t seed = 42; seed < 46; ++seed) {
      const auto without = inflate(*nodes, *pods, {.seed = seed});
      const auto moving = inflate(*nodes, *pods, {.seed = seed, .max_moved = 0.01});
      ASSERT_TRUE(without.has_value() && moving.has_value());
      EXPECT_LE(moving->moved, moving->most_moves);
      EXPECT_LE(moving->most_moves * 100, moving->placed);
      gained += moving->allocation.at(130) - without->allocation.at(130);
    }
  }
  EXPECT_GT(gained, 0);
}

TEST(OpenbSeedTest, TheSameSeedGivesTheSameResult) {
  const auto nodes = read_trace_nodes(kData + "nodes.csv");
  const auto pods = read_trace_pods(kData + "pods.csv");
  ASSERT_TRUE(nodes.has_value() && pods.has_value());
  EXPECT_EQ(inflate(*nodes, *pods, {.seed = 1})->allocation,
            inflate(*nodes, *pods, {.seed = 1})->allocation);
}

}  // namespace
}  // namespace tessera::simulation
