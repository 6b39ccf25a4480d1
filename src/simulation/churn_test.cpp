#include "simulation/churn.h"

#include <gtest/gtest.h>

#include "solver/coin_solver.h"

namespace tessera::simulation {
namespace {

std::shared_ptr<const catalog::Catalog> catalog() {
  static const auto kCatalog =
      std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  return kCatalog;
}

ChurnResult run(std::string_view policy, std::uint64_t seed) {
  const auto result =
      churn({.gpus = 4, .seed = seed, .arrivals = 120, .solver = solver::make_coin_solver}, policy,
            catalog());
  EXPECT_TRUE(result.has_value());
  return result ? *result : ChurnResult{};
}

class ChurnTest : public testing::TestWithParam<std::string_view> {};

TEST_P(ChurnTest, KeepsToWhatIsPossible) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    const auto result = run(GetParam(), seed);
    EXPECT_EQ(result.arrived, 60u);
    EXPECT_LE(result.accepted + result.avoidable + result.undecided, result.arrived);
    EXPECT_GT(result.accepted, 30u);
    EXPECT_LE(result.burst_accepted, result.burst_possible);
    EXPECT_LE(result.burst_possible, result.burst);
    EXPECT_GT(result.mean_load, 50);
    EXPECT_LE(result.mean_load, 100);
    if (GetParam() == "tessera+repack") {
      EXPECT_EQ(result.avoidable + result.undecided, 0u);
      EXPECT_EQ(result.burst_accepted, result.burst_possible);
      EXPECT_LE(result.burst_moved, result.burst_running);
    } else {
      EXPECT_EQ(result.moved + result.burst_moved + result.forced_restarts, 0u);
    }
  }
}

TEST_P(ChurnTest, TheSameSeedGivesTheSame) {
  const auto once = run(GetParam(), 7), again = run(GetParam(), 7);
  EXPECT_EQ(once.accepted, again.accepted);
  EXPECT_EQ(once.moved, again.moved);
  EXPECT_EQ(once.avoidable, again.avoidable);
  EXPECT_EQ(once.burst_accepted, again.burst_accepted);
  EXPECT_EQ(once.burst_moved, again.burst_moved);
  EXPECT_DOUBLE_EQ(once.mean_load, again.mean_load);
}

INSTANTIATE_TEST_SUITE_P(Policies, ChurnTest, testing::ValuesIn(churn_policies()),
                         [](const auto& param) {
                           std::string name;
                           for (const char c : param.param)
                             if (c != '-' && c != '+') name += c;
                           return name;
                         });

TEST(ChurnRepackingTest, AcceptsAtLeastAsManyBySeedsTogether) {
  std::uint64_t online = 0, repacked = 0, moved = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    online += run("tessera", seed).accepted;
    const auto result = run("tessera+repack", seed);
    repacked += result.accepted;
    moved += result.moved;
  }
  EXPECT_GE(repacked, online);
  EXPECT_GT(moved, 0u);
}

TEST(ChurnPolicyTest, AnUnknownPolicyIsAnError) {
  EXPECT_FALSE(churn({}, "worst-fit", catalog()).has_value());
}

}  // namespace
}  // namespace tessera::simulation
