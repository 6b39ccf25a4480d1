#include "solver/apart.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <unistd.h>

#include <gtest/gtest.h>

namespace tessera::solver {
namespace {

using std::chrono::seconds;

TEST(Apart, GivesBackWhatTheWorkReturns) {
  std::vector<double> much(100'000);
  for (std::size_t i = 0; i < much.size(); ++i) much[i] = static_cast<double>(i) / 7;
  EXPECT_EQ(apart([&] { return much; }, seconds(30)), much);
  EXPECT_EQ(apart([] { return std::vector<double>{}; }, seconds(30)), std::vector<double>{});
}

TEST(Apart, NothingThatTheWorkDoesIsSeen) {
  int changed = 0;
  testing::internal::CaptureStdout();
  EXPECT_TRUE(apart(
      [&] {
        std::puts("heard?");
        std::fflush(stdout);
        changed = 1;
        return std::vector<double>{};
      },
      seconds(30)));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(changed, 0);
}

TEST(Apart, SurvivesWorkThatAborts) {
  EXPECT_EQ(apart([]() -> std::vector<double> { std::abort(); }, seconds(30)), std::nullopt);
  EXPECT_EQ(apart([]() -> std::vector<double> { throw std::runtime_error("no"); }, seconds(30)),
            std::nullopt);
}

TEST(Apart, EndsWorkThatHangs) {
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(apart(
                []() -> std::vector<double> {
                  while (true) pause();
                },
                std::chrono::milliseconds(50)),
            std::nullopt);
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(20));
}

}  // namespace
}  // namespace tessera::solver
