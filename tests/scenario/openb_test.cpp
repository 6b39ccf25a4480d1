#include <gtest/gtest.h>

#include "simulation/inflation.h"

/// A sample of a real trace through the production placement.
namespace tessera::simulation {
namespace {

const std::string kData = TESSERA_TEST_DATA "/openb/";

TEST(OpenbTest, TheSampleFillsUpAndGivesTheSameResultTwice) {
  const auto nodes = read_trace_nodes(kData + "nodes.csv");
  const auto pods = read_trace_pods(kData + "pods.csv");
  ASSERT_TRUE(nodes.has_value()) << base::to_string(nodes.error());
  ASSERT_TRUE(pods.has_value()) << base::to_string(pods.error());
  double mean = 0;
  for (std::uint64_t seed = 42; seed < 52; ++seed) {
    const auto once = inflate(*nodes, *pods, {.seed = seed});
    ASSERT_TRUE(once.has_value());
    EXPECT_EQ(once->allocation, inflate(*nodes, *pods, {.seed = seed})->allocation);
    EXPECT_EQ(once->arrived, once->placed + once->lost);
    EXPECT_GE(once->allocation.at(130), once->allocation.at(100));
    mean += once->allocation.at(130) / 10;
  }
  // Placing anywhere reaches 87 on the whole trace; a sample of it is a little harder to pack.
  EXPECT_GT(mean, 85);
}

}  // namespace
}  // namespace tessera::simulation
