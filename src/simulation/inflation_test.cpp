#include "simulation/inflation.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "simulation/trace_fleet.h"
#include "solver/coin_solver.h"

namespace tessera::simulation {
namespace {

double allocated(const std::vector<TraceNode>& nodes, const std::vector<TracePod>& pods) {
  const auto result = inflate(nodes, pods, {.seed = 1, .inflate_percent = 200});
  EXPECT_TRUE(result.has_value());
  return result ? result->allocation.at(200) : -1;
}

TEST(InflationTest, FillsAFleetThatAnythingFits) {
  EXPECT_DOUBLE_EQ(allocated({trace_node("a", 4, 64'000, "T4")}, {trace_pod("p", 1, 1000, 100)}),
                   100);
  EXPECT_DOUBLE_EQ(allocated({trace_node("a", 4, 64'000, "T4")}, {trace_pod("p", 1, 500, 100)}),
                   100);
  EXPECT_DOUBLE_EQ(allocated({trace_node("a", 4, 64'000, "T4")}, {trace_pod("p", 4, 1000, 100)}),
                   100);
}

TEST(InflationTest, APartComesFromOneGpu) {
  EXPECT_DOUBLE_EQ(allocated({trace_node("a", 2, 64'000, "T4")}, {trace_pod("p", 1, 600, 100)}),
                   60);
}

TEST(InflationTest, SeveralGpusComeFromOneNode) {
  EXPECT_DOUBLE_EQ(allocated({trace_node("a", 3, 64'000, "T4"), trace_node("b", 3, 64'000, "T4")},
                             {trace_pod("p", 2, 1000, 1)}),
                   100.0 * 4 / 6);
}

TEST(InflationTest, HostCpuIsAConstraint) {
  EXPECT_DOUBLE_EQ(allocated({trace_node("a", 4, 8'000, "T4")}, {trace_pod("p", 1, 1000, 4'000)}),
                   50);
}

TEST(InflationTest, TheModelIsAConstraint) {
  const std::vector nodes = {trace_node("a", 1, 64'000, "T4"), trace_node("b", 3, 64'000, "A10")};
  EXPECT_DOUBLE_EQ(allocated(nodes, {trace_pod("p", 1, 1000, 1, {"A10"})}), 75);
  EXPECT_DOUBLE_EQ(allocated(nodes, {trace_pod("p", 1, 1000, 1, {"A10", "T4"})}), 100);
  EXPECT_DOUBLE_EQ(allocated(nodes, {trace_pod("p", 1, 1000, 1, {"H900"})}), 0);
}

TEST(InflationTest, PodsWithoutGpuTakeTheHost) {
  const std::vector nodes = {trace_node("a", 1, 8'000, "T4")};
  // Whatever comes first, the pods without a GPU leave too little CPU or find too little.
  const auto result = inflate(nodes, {trace_pod("g", 1, 100, 1'000), trace_pod("c", 0, 0, 8'000)},
                              {.seed = 1, .inflate_percent = 100});
  ASSERT_TRUE(result.has_value());
  EXPECT_GT(result->lost, 0u);
}

TEST(InflationTest, NothingToDoIsAnError) {
  EXPECT_FALSE(inflate({trace_node("a", 0, 1, "")}, {trace_pod("p", 1, 1000, 1)}, {}).has_value());
  EXPECT_FALSE(inflate({trace_node("a", 1, 1, "T4")}, {trace_pod("p", 0, 0, 1)}, {}).has_value());
}

struct Lists {
  std::vector<TraceNode> nodes;
  std::vector<TracePod> pods;
};
Lists random_lists(std::uint64_t seed) {
  base::SeededRandom random(seed);
  Lists lists;
  for (int i = 0; i < 12; ++i)
    lists.nodes.push_back(trace_node("n" + std::to_string(i), 1 << random.below(4),
                                     16'000 << random.below(3),
                                     random.chance(1, 3) ? "T4" : "A10"));
  constexpr std::int64_t kShares[] = {160, 320, 470, 650, 810};
  for (int i = 0; i < 150; ++i) {
    const auto cpu = static_cast<std::int64_t>(random.below(8'000));
    const auto models =
        random.chance(1, 5) ? std::vector<std::string>{"T4"} : std::vector<std::string>{};
    const auto name = "p" + std::to_string(i);
    if (random.chance(1, 10))
      lists.pods.push_back(trace_pod(name, 0, 0, cpu));
    else if (random.chance(1, 2))
      lists.pods.push_back(trace_pod(name, 1, kShares[random.below(5)], cpu, models));
    else
      lists.pods.push_back(trace_pod(name, random.chance(1, 8) ? 4 : 1, 1000, cpu, models));
  }
  return lists;
}

TEST(InflationPropertyTest, NothingExceedsTheBoundAndMovesKeepTheLimit) {
  std::uint64_t moved = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto lists = random_lists(seed);
    for (const double max_moved : {0.0, 0.05}) {
      const InflationOptions options{
          .seed = seed, .max_moved = max_moved, .solver = solver::make_coin_solver};
      const auto result = inflate(lists.nodes, lists.pods, options);
      ASSERT_TRUE(result.has_value());
      for (const int percent : {100, 130}) {
        EXPECT_LE(result->allocation.at(percent), result->bound.at(percent) + 1e-6);
        EXPECT_LE(result->bound.at(percent), result->bound_on_gpus_alone.at(percent) + 1e-4);
      }
      EXPECT_LE(result->moved, result->most_moves);
      EXPECT_LE(static_cast<double>(result->most_moves),
                max_moved * static_cast<double>(result->placed));
      moved += result->moved;
      const auto again = inflate(lists.nodes, lists.pods, options);
      EXPECT_EQ(again->allocation, result->allocation);
      EXPECT_EQ(again->moved, result->moved);
      EXPECT_EQ(again->bound, result->bound);
    }
  }
  EXPECT_GT(moved, 0u);
}

}  // namespace
}  // namespace tessera::simulation
