#include "simulation/inflation.h"

#include <gtest/gtest.h>

namespace tessera::simulation {
namespace {

TraceNode node(const std::string& name, int gpus, std::int64_t cpu, const std::string& model) {
  return {name, base::MilliCpu(cpu), base::MiB(1 << 20), gpus, model};
}
TracePod pod(const std::string& name, int gpus, std::int64_t share, std::int64_t cpu,
             std::vector<std::string> models = {}) {
  return {name, base::MilliCpu(cpu),     base::MiB(1),
          gpus, base::MilliShare(share), std::move(models)};
}

double allocated(const std::vector<TraceNode>& nodes, const std::vector<TracePod>& pods) {
  const auto result = inflate(nodes, pods, {.seed = 1, .inflate_percent = 200});
  EXPECT_TRUE(result.has_value());
  return result ? result->allocation.at(200) : -1;
}

TEST(InflationTest, FillsAFleetThatAnythingFits) {
  EXPECT_DOUBLE_EQ(allocated({node("a", 4, 64'000, "T4")}, {pod("p", 1, 1000, 100)}), 100);
  EXPECT_DOUBLE_EQ(allocated({node("a", 4, 64'000, "T4")}, {pod("p", 1, 500, 100)}), 100);
  EXPECT_DOUBLE_EQ(allocated({node("a", 4, 64'000, "T4")}, {pod("p", 4, 1000, 100)}), 100);
}

TEST(InflationTest, APartComesFromOneGpu) {
  EXPECT_DOUBLE_EQ(allocated({node("a", 2, 64'000, "T4")}, {pod("p", 1, 600, 100)}), 60);
}

TEST(InflationTest, SeveralGpusComeFromOneNode) {
  EXPECT_DOUBLE_EQ(
      allocated({node("a", 3, 64'000, "T4"), node("b", 3, 64'000, "T4")}, {pod("p", 2, 1000, 1)}),
      100.0 * 4 / 6);
}

TEST(InflationTest, HostCpuIsAConstraint) {
  EXPECT_DOUBLE_EQ(allocated({node("a", 4, 8'000, "T4")}, {pod("p", 1, 1000, 4'000)}), 50);
}

TEST(InflationTest, TheModelIsAConstraint) {
  const std::vector nodes = {node("a", 1, 64'000, "T4"), node("b", 3, 64'000, "A10")};
  EXPECT_DOUBLE_EQ(allocated(nodes, {pod("p", 1, 1000, 1, {"A10"})}), 75);
  EXPECT_DOUBLE_EQ(allocated(nodes, {pod("p", 1, 1000, 1, {"A10", "T4"})}), 100);
  EXPECT_DOUBLE_EQ(allocated(nodes, {pod("p", 1, 1000, 1, {"H900"})}), 0);
}

TEST(InflationTest, PodsWithoutGpuTakeTheHost) {
  const std::vector nodes = {node("a", 1, 8'000, "T4")};
  // Whatever comes first, the pods without a GPU leave too little CPU or find too little.
  const auto result = inflate(nodes, {pod("g", 1, 100, 1'000), pod("c", 0, 0, 8'000)},
                              {.seed = 1, .inflate_percent = 100});
  ASSERT_TRUE(result.has_value());
  EXPECT_GT(result->lost, 0u);
}

TEST(InflationTest, NothingToDoIsAnError) {
  EXPECT_FALSE(inflate({node("a", 0, 1, "")}, {pod("p", 1, 1000, 1)}, {}).has_value());
  EXPECT_FALSE(inflate({node("a", 1, 1, "T4")}, {pod("p", 0, 0, 1)}, {}).has_value());
}

}  // namespace
}  // namespace tessera::simulation
