#include "device/sharing/turns.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace tessera::device::sharing {
namespace {

using guard::kGateBounded;
using guard::kGateClosed;
using guard::kGateCounted;
using guard::kGateOpen;
using guard::kGateTight;

constexpr Turns::Nanoseconds kMs = 1'000'000;
constexpr Turns::Nanoseconds kTick = kMs / 5;
constexpr Seen kAbsent{};
constexpr Seen kIdle{true, false, false};
constexpr Seen kBusy{true, true, true};
constexpr Seen kWaiting{true, true, false};

/// Programs that always have another kernel, of this length, and at most two in flight.
class Flood {
 public:
  Flood(std::vector<Terms> terms, std::vector<double> kernel_ms)
      : turns_(std::move(terms)),
        kernel_ms_(std::move(kernel_ms)),
        left_(kernel_ms_.size(), 0),
        done_(kernel_ms_.size(), 0) {}

  void run(Turns::Nanoseconds span) {
    for (const auto end = now_ + span; now_ < end; now_ += kTick) {
      std::vector<Seen> seen;
      for (const double left : left_) seen.push_back(left > 0 ? kBusy : kWaiting);
      const auto& gates = turns_.step(now_, seen);
      for (std::size_t i = 0; i < left_.size(); ++i)
        if (gates[i] != kGateClosed && left_[i] <= kernel_ms_[i]) left_[i] += kernel_ms_[i];
      work(static_cast<double>(kTick) / kMs);
    }
  }
  double share(std::size_t tenant) const {
    double all = 0;
    for (const double each : done_) all += each;
    return done_[tenant] / all;
  }

 private:
  /// Whoever has work has an equal part of the GPU.
  void work(double ms) {
    const auto busy = std::ranges::count_if(left_, [](double left) { return left > 0; });
    for (std::size_t i = 0; i < left_.size(); ++i) {
      const double part = left_[i] > 0 ? std::min(left_[i], ms / static_cast<double>(busy)) : 0;
      left_[i] -= part;
      done_[i] += part;
    }
  }

  Turns turns_;
  std::vector<double> kernel_ms_, left_, done_;
  Turns::Nanoseconds now_ = kMs;
};

TEST(Turns, divide_time_by_weight_whatever_the_kernels) {
  for (const unsigned percent : {50U, 30U, 10U})
    for (const double first : {0.2, 1.0, 20.0})
      for (const double second : {0.2, 1.0, 20.0}) {
        Flood flood({{percent, false}, {100 - percent, false}}, {first, second});
        flood.run(20'000 * kMs);
        EXPECT_NEAR(flood.share(0), percent / 100.0, 0.02)
            << percent << " % " << first << " ms beside " << second << " ms";
      }
}

TEST(Turns, divide_time_among_many) {
  Flood flood({{1, false}, {2, false}, {3, false}, {4, false}}, {0.4, 5, 1, 12});
  flood.run(20'000 * kMs);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(flood.share(i), static_cast<double>(i + 1) / 10, 0.02) << i;
}

TEST(Turns, leave_one_who_is_alone_in_peace) {
  Turns turns({{}, {}});
  EXPECT_EQ(turns.step(kMs, {kBusy, kAbsent}), (std::vector{kGateOpen, kGateBounded}));
  EXPECT_EQ(turns.step(2 * kMs, {kAbsent, kAbsent}), (std::vector{kGateOpen, kGateOpen}));
}

TEST(Turns, close_no_gate_while_only_one_works) {
  Turns turns({{}, {}});
  for (auto now = kMs; now < 1'000 * kMs; now += kTick)
    ASSERT_EQ(turns.step(now, {kBusy, kIdle}), (std::vector{kGateBounded, kGateBounded}));
}

TEST(Turns, skip_whoever_has_nothing_in_flight) {
  Turns turns({{}, {}});
  turns.step(kMs, {kBusy, kBusy});
  turns.step(kMs + kTick, {kIdle, kWaiting});
  EXPECT_EQ(turns.step(kMs + 2 * kTick, {kIdle, kWaiting}),
            (std::vector{kGateBounded, kGateBounded}));
}

TEST(Turns, wait_for_what_is_in_flight_but_not_for_ever) {
  Turns turns({{}, {}});
  auto now = kMs;
  for (; now < 20 * kMs; now += kTick) turns.step(now, {kBusy, kWaiting});
  EXPECT_EQ(turns.step(now, {kBusy, kWaiting}), (std::vector{kGateClosed, kGateClosed}));
  turns.step(now + Turns::kLongestDrain, {kBusy, kWaiting});
  EXPECT_EQ(turns.step(now + Turns::kLongestDrain + kTick, {kBusy, kWaiting}),
            (std::vector{kGateClosed, kGateBounded}));
}

TEST(Turns, put_the_critical_first) {
  Turns turns({{100, true}, {}, {}});
  turns.step(kMs, {kIdle, kBusy, kBusy});
  EXPECT_EQ(turns.step(2 * kMs, {kBusy, kBusy, kBusy}),
            (std::vector{kGateCounted, kGateClosed, kGateClosed}));
  EXPECT_EQ(turns.step(2 * kMs + kTick, {kIdle, kIdle, kBusy})[2], kGateTight);
  EXPECT_EQ(turns.step(3 * kMs, {kIdle, kIdle, kBusy}),
            (std::vector{kGateCounted, kGateTight, kGateTight}));
}

TEST(Turns, save_nothing_up_for_who_was_idle) {
  Turns turns({{}, {}, {}});
  auto now = kMs;
  // Two take turns for a second while the third is idle.
  for (; now < 1'000 * kMs; now += kTick) {
    turns.step(now, {kWaiting, kWaiting, kIdle});
  }
  Turns::Nanoseconds alone = 0;
  for (const auto end = now + 100 * kMs; now < end; now += kTick) {
    const auto gates = turns.step(now, {kWaiting, kWaiting, kWaiting});
    if (gates[2] != kGateClosed) alone += kTick;
  }
  EXPECT_LT(alone, 45 * kMs);
  EXPECT_GT(alone, 25 * kMs);
}

TEST(Turns, hold_for_anything_that_tenants_may_do) {
  std::mt19937 random(11);
  for (int run = 0; run < 200; ++run) {
    const std::size_t tenants = 1 + random() % 6;
    std::vector<Terms> terms;
    for (std::size_t i = 0; i < tenants; ++i)
      terms.push_back({1 + static_cast<std::uint32_t>(random() % 100), random() % 5 == 0});
    Turns turns(terms);
    Turns::Nanoseconds now = kMs;
    for (int step = 0; step < 500; ++step) {
      now += random() % (10 * kMs);
      std::vector<Seen> seen(tenants);
      for (auto& each : seen) each = {random() % 4 != 0, random() % 2 == 0, random() % 2 == 0};
      const auto& gates = turns.step(now, seen);
      unsigned open = 0;
      unsigned wanting = 0;
      for (std::size_t i = 0; i < tenants; ++i) {
        if (terms[i].critical) {
          ASSERT_NE(gates[i], kGateClosed);
        } else if (seen[i].present && (seen[i].active || seen[i].in_flight)) {
          ++wanting;
          if (gates[i] != kGateClosed) ++open;
        }
      }
      // Whoever may go on at once: one of several, or everybody while only one wants to.
      if (wanting > 1) {
        ASSERT_LE(open, 1U);
      }
    }
  }
}

}  // namespace
}  // namespace tessera::device::sharing
