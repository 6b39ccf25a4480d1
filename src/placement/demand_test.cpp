#include "placement/demand.h"

#include <gtest/gtest.h>

namespace tessera::placement {
namespace {

request::Need share(std::int64_t thousandths, std::int64_t cores = 1) {
  return {.compute = base::MilliShare(thousandths), .cpu = base::MilliCpu(cores * 1000)};
}

TEST(Demand, LearnsAtOnceAndThenWhenItHasMoved) {
  Demand demand;
  EXPECT_TRUE(demand.observe(share(500), "batch"));
  EXPECT_EQ(demand.typical().needs.size(), 1u);
  for (int i = 0; i < 4000; ++i) demand.observe(share(500), "batch");
  int changes = 0;
  for (int i = 0; i < 4000; ++i) changes += demand.observe(share(500), "batch") ? 1 : 0;
  EXPECT_EQ(changes, 0) << "more of the same is no news";
  for (int i = 0; i < 8000; ++i) changes += demand.observe(share(250), "batch") ? 1 : 0;
  EXPECT_GE(changes, 2);
  EXPECT_LE(changes, 6);
  EXPECT_EQ(demand.typical().needs.size(), 2u);
}

TEST(Demand, ForgetsWhatIsLongPast) {
  Demand demand;
  for (int i = 0; i < 10'000; ++i) demand.observe(share(500), "batch");
  for (int i = 0; i < 8 * Demand::kMemory; ++i) demand.observe(share(250), "batch");
  std::int64_t most = 0, least = demand.typical().weight;
  for (const auto& [kind, tally] : demand.typical().needs) {
    most = std::max(most, tally.weight);
    least = std::min(least, tally.weight);
  }
  EXPECT_LT(least * 10, most);
  EXPECT_LE(most, 2 * Demand::kMemory * DemandTally::kArrival);
}

TEST(Demand, AlikeNeedsAreOneKindWithTheirMean) {
  Demand demand;
  demand.observe({.compute = base::MilliShare(310), .cpu = base::MilliCpu(8'400)}, "batch");
  for (int i = 0; i < 30; ++i)
    demand.observe({.compute = base::MilliShare(340), .cpu = base::MilliCpu(9'000)}, "batch");
  const auto& needs = demand.typical().needs;
  ASSERT_EQ(needs.size(), 1u);
  const auto need = typical_need(needs.begin()->first, needs.begin()->second);
  EXPECT_GE(need.compute, base::MilliShare(310));
  EXPECT_LE(need.compute, base::MilliShare(340));
  EXPECT_GE(need.cpu, base::MilliCpu(8'400));
  EXPECT_LE(need.cpu, base::MilliCpu(9'000));
}

TEST(Demand, AFloodOfDifferentNeedsTakesNoMoreRoom) {
  Demand demand;
  for (int i = 0; i < 200; ++i) demand.observe(share(500), "batch");
  for (int i = 0; i < 5000; ++i)
    demand.observe({.memory = base::MiB(i), .pool = std::to_string(i)}, "batch");
  EXPECT_LE(demand.typical().needs.size(), 256u);
  EXPECT_LE(demand.typical().sizes.size(), 256u);
  std::int64_t most = 0;
  for (const auto& [kind, tally] : demand.typical().needs) most = std::max(most, tally.weight);
  EXPECT_EQ(most, 200 * DemandTally::kArrival) << "what is common stays";
}

TEST(Demand, WorkWithoutAGpuIsNotDemand) {
  Demand demand;
  EXPECT_FALSE(demand.observe({.count = 0}, "batch"));
}

}  // namespace
}  // namespace tessera::placement
