#include "planning/service_level.h"

#include <cmath>

#include <gtest/gtest.h>

namespace tessera::planning {
namespace {

using namespace std::chrono_literals;

TEST(ServiceLevel, BlockedIsErlangsFormula) {
  // B = (a^n / n!) / sum of a^k / k!, summed directly where that is small enough to be exact.
  for (const double load : {0.5, 1.0, 4.0, 12.0}) {
    for (std::int64_t slots = 0; slots <= 20; ++slots) {
      double term = 1, sum = 1;
      for (std::int64_t k = 1; k <= slots; ++k) sum += term *= load / static_cast<double>(k);
      EXPECT_NEAR(blocked(load, slots), term / sum, 1e-12) << load << " " << slots;
    }
  }
}

TEST(ServiceLevel, FiguresFromThePublishedTables) {
  // Erlang B tables: 1 % of 5.08 erlangs is lost with 11 lines, of 12.0 with 20, of 84.1 with 100.
  EXPECT_NEAR(blocked(12.03, 20), 0.01, 1e-4);
  EXPECT_NEAR(blocked(84.06, 100), 0.01, 1e-4);
  EXPECT_EQ(slots_for({.per_hour = 6000, .mean = 2h}, 990'000), 20);
}

TEST(ServiceLevel, TheFewestSlotsThatDo) {
  for (const std::int64_t level :
       {std::int64_t{500'000}, std::int64_t{900'000}, std::int64_t{999'999}}) {
    for (const std::int64_t per_hour : {100, 3000, 250'000}) {
      const Arrivals arrivals{.per_hour = per_hour, .mean = 90min};
      const auto slots = *slots_for(arrivals, level);
      const double most = 1 - static_cast<double>(level) / 1e6;
      EXPECT_LE(blocked(arrivals.load(), slots), most + 1e-8);
      if (slots > 0) {
        EXPECT_GT(blocked(arrivals.load(), slots - 1), most);
      }
    }
  }
}

TEST(ServiceLevel, NobodyNeedsBeServed) {
  EXPECT_EQ(slots_for({.per_hour = 1000, .mean = 1h}, 0), 0);
}

TEST(ServiceLevel, GreatLoadsAreStableAndTooGreatOnesAreRefused) {
  const Arrivals great{.per_hour = 900'000'000, .mean = 1h};
  const auto slots = slots_for(great, 990'000);
  ASSERT_TRUE(slots);
  EXPECT_GT(*slots, 880'000);
  EXPECT_LT(*slots, 910'000);
  EXPECT_FALSE(slots_for({.per_hour = 900'000'000, .mean = 2h}, 990'000));
}

}  // namespace
}  // namespace tessera::planning
