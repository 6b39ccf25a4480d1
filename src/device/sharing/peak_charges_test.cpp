#include "device/sharing/peak_charges.h"

#include <memory>

#include <gtest/gtest.h>

namespace tessera::device::sharing {
namespace {

using namespace std::chrono_literals;

TEST(PeakChargesTest, remembers_for_a_while_what_is_charged_no_more) {
  const auto accounts = std::make_unique<guard::Accounts>();
  accounts->rows_used = 3;
  PeakCharges peaks;
  PeakCharges::Time now{1h};
  const auto look = [&](std::uint64_t charge) {
    accounts->charge[1][2] = charge;
    peaks.look(*accounts, 2, now += PeakCharges::kLook);
    return peaks.of(2, 1);
  };
  EXPECT_EQ(look(7), 7U);
  EXPECT_EQ(look(9), 9U);
  const auto until = now + PeakCharges::kWindow;
  while (now < until - PeakCharges::kLook) ASSERT_EQ(look(0), 9U);
  now += PeakCharges::kWindow;
  look(3);
  now += PeakCharges::kWindow;
  EXPECT_EQ(look(0), 3U);
  EXPECT_EQ(peaks.of(2, 0), 0U);
  EXPECT_EQ(peaks.of(1, 1), 0U);
  accounts->charge[1][2] = 50;
  peaks.look(*accounts, 2, now);
  EXPECT_EQ(peaks.of(2, 1), 3U) << "it has just looked";
}

}  // namespace
}  // namespace tessera::device::sharing
