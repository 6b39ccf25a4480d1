#include "simulation/run.h"

#include <gtest/gtest.h>

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;

constexpr WorldOptions kShort{.storm = 40min, .quiet = 2h};

TEST(RunTest, TheSameSeedGivesTheSameBytes) {
  for (const std::uint64_t seed : {3, 11, 42}) {
    const auto once = run_seed(seed, {}, kShort);
    const auto again = run_seed(seed, {}, kShort);
    EXPECT_EQ(once.violation, std::nullopt);
    EXPECT_EQ(once.digest, again.digest) << "seed " << seed;
    EXPECT_EQ(once.granted, again.granted);
    EXPECT_EQ(once.faults.by_name(), again.faults.by_name());
  }
}

TEST(RunTest, AnotherSeedGivesAnotherRun) {
  EXPECT_NE(run_seed(3, {}, kShort).digest, run_seed(4, {}, kShort).digest);
}

TEST(RunTest, ARunInWhichLittleHappensIsVoid) {
  EXPECT_TRUE(run_seed(3, {}, {.storm = 1min, .quiet = 1h}).is_void);
  EXPECT_FALSE(run_seed(3).is_void);
}

TEST(RunTest, TheReportSumsUpItsSeeds) {
  std::uint64_t calls = 0;
  const auto report = run_seeds(5, 3, [&](const Report& so_far) {
    EXPECT_EQ(so_far.seeds, ++calls);
    EXPECT_EQ(so_far.digest.size(), 16u);
  });
  EXPECT_EQ(calls, 3u);
  EXPECT_EQ(report.seeds, 3u);
  EXPECT_EQ(report.violations, 0u);
  EXPECT_FALSE(report.first_violation.has_value());
  EXPECT_GE(report.simulated_hours, 6.0);
  EXPECT_EQ(report.granted, run_seed(5).granted + run_seed(6).granted + run_seed(7).granted);
  EXPECT_NE(report.digest, run_seeds(6, 3).digest);
}

TEST(RunTest, StopsWhenAsked) {
  int left = 2;
  const auto report = run_seeds(1, 100, {}, [&] { return left-- == 0; });
  EXPECT_EQ(report.seeds, 2u);
}

}  // namespace
}  // namespace tessera::simulation
