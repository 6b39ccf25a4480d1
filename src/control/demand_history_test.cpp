#include "control/demand_history.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "control/test_steps.h"

namespace tessera::control {
namespace {

using namespace std::chrono_literals;

DemandShape shape(std::int64_t gib, const std::string& tier = "production") {
  return {.memory = base::MiB(gib * 1024),
          .compute = {},
          .sms = {},
          .tier = tier,
          .pool = {},
          .models = {}};
}

class DemandHistoryTest : public testing::Test {
 protected:
  void ask(const DemandShape& of, std::int64_t slices = 1) {
    history_.change(view_of(of), {}, {.waiting = slices}, now_);
  }
  void get(const DemandShape& of, std::int64_t slices = 1) {
    history_.change(view_of(of), {.waiting = slices}, {.held = slices}, now_);
  }
  void end(const DemandShape& of, std::int64_t slices = 1) {
    history_.change(view_of(of), {.held = slices}, {}, now_);
  }
  std::uint32_t peak(const DemandShape& of, std::uint32_t hour) const {
    const auto found = history_.series().find(of);
    if (found == history_.series().end()) return 0;
    return history_.peak(found->second, history_.level(of).all(), hour);
  }

  DemandHistory history_;
  Instant now_ = start_of(1000);
};

TEST_F(DemandHistoryTest, AnHourHasThePeakOfWhatWaitsAndIsHeld) {
  EXPECT_FALSE(history_.since());
  ask(shape(18), 2);
  get(shape(18), 2);
  ask(shape(18));
  now_ += 10min;
  end(shape(18), 2);
  EXPECT_EQ(peak(shape(18), 1000), 3u);
  EXPECT_EQ(history_.level(shape(18)), (DemandLevel{.waiting = 1}));
  now_ += 2h;
  get(shape(18));
  EXPECT_EQ(peak(shape(18), 1001), 1u);
  EXPECT_EQ(peak(shape(18), 1002), 1u);
  EXPECT_EQ(peak(shape(18), 1100), 1u) << "it stays until something changes";
  now_ += 1h;
  end(shape(18));
  EXPECT_EQ(peak(shape(18), 1003), 1u) << "it was held when the hour began";
  EXPECT_EQ(peak(shape(18), 1004), 0u);
  EXPECT_EQ(peak(shape(18), 999), 0u);
  EXPECT_EQ(history_.since(), 1000u);
}

TEST_F(DemandHistoryTest, WhatIsLongPastIsForgotten) {
  ask(shape(18));
  get(shape(18));
  ask(shape(40));
  now_ += 2h;
  end(shape(18));
  now_ += std::chrono::hours(DemandHistory::kHours - 1);
  get(shape(40));
  EXPECT_EQ(history_.since(), 1002u);
  EXPECT_EQ(peak(shape(18), 1002), 1u);
  now_ += 1h;
  end(shape(40));
  EXPECT_EQ(history_.series().size(), 1u) << "nothing was asked for in any hour that is kept";
  EXPECT_EQ(peak(shape(40), 1003), 1u);
}

TEST_F(DemandHistoryTest, AFloodOfOddSizesCostsTheUsualOnesLittle) {
  for (std::int64_t i = 0; i < 63; ++i) {
    ask(shape(10 + i), 5);
    get(shape(10 + i), 5);
  }
  now_ += 3h;
  for (std::int64_t i = 0; i < 500; ++i) {
    ask(shape(1000 + i));
    get(shape(1000 + i));
  }
  EXPECT_EQ(history_.series().size(), DemandHistory::kShapes);
  for (std::int64_t i = 0; i < 63; ++i) EXPECT_EQ(peak(shape(10 + i), 1001), 5u) << i;
  EXPECT_EQ(history_.other_level(), 499);
  EXPECT_EQ(history_.peak(history_.other(), history_.other_level(), 1003), 499u);
  for (std::int64_t i = 0; i < 500; ++i) end(shape(1000 + i));
  EXPECT_EQ(history_.other_level(), 0);
}

TEST_F(DemandHistoryTest, ASizeThatComesBackBringsItsLevelAlong) {
  ask(shape(1), 3);
  for (std::int64_t i = 0; i < 64; ++i) ask(shape(10 + i), 4);
  EXPECT_FALSE(history_.series().contains(shape(1)));
  EXPECT_EQ(history_.other_level(), 3);
  ask(shape(1));
  EXPECT_EQ(peak(shape(1), 1000), 4u);
  EXPECT_EQ(history_.other_level(), 4) << "another one made room";
}

/// Random lives of requests against a recount of every hour.
TEST_F(DemandHistoryTest, AgreesWithARecount) {
  base::SeededRandom random(20261123);
  struct Life {
    DemandShape of;
    std::int64_t slices = 0;
    bool held = false;
  };
  std::vector<Life> lives;
  std::map<DemandShape, std::map<std::uint32_t, std::int64_t>> slow;
  const auto recount = [&] {
    std::map<DemandShape, std::int64_t> levels;
    for (const auto& life : lives) levels[life.of] += life.slices;
    for (const auto& [of, level] : levels) {
      auto& most = slow[of][hour_of(now_)];
      most = std::max(most, level);
    }
  };
  const auto first = hour_of(now_);
  for (int step = 0; step < 3000; ++step) {
    for (auto quarters = random.below(8); quarters > 0; --quarters) {
      now_ += 15min;
      recount();
    }
    const auto dice = random.below(3);
    if (dice == 0 || lives.empty()) {
      lives.push_back({shape(1 + static_cast<std::int64_t>(random.below(20))),
                       1 + static_cast<std::int64_t>(random.below(3))});
      ask(lives.back().of, lives.back().slices);
    } else {
      auto& life = lives[random.below(lives.size())];
      if (!life.held) {
        get(life.of, life.slices);
        life.held = true;
      } else {
        end(life.of, life.slices);
        std::swap(life, lives.back());
        lives.pop_back();
      }
    }
    recount();
  }
  const auto last = hour_of(now_);
  for (const auto& [of, hours] : slow)
    for (auto hour = std::max(first, last - DemandHistory::kHours + 1); hour <= last; ++hour) {
      const auto found = hours.find(hour);
      ASSERT_EQ(peak(of, hour), found == hours.end() ? 0 : found->second) << hour;
    }
}

class DemandOfRequests : public StepTest {};

TEST_F(DemandOfRequests, CountsFromTheRequestToTheEndOfItsLease) {
  const auto level = [&] {
    return state_.history().level({.memory = small_.memory,
                                   .compute = {},
                                   .sms = {},
                                   .tier = "production",
                                   .pool = {},
                                   .models = {}});
  };
  const auto waits = submit(small_);
  EXPECT_EQ(level(), (DemandLevel{.waiting = 1})) << "the node has not reported yet";
  agent_works();
  EXPECT_EQ(level(), (DemandLevel{.held = 1}));
  agent_works();
  EXPECT_EQ(request(waits).state, request::RequestState::kActive);
  EXPECT_EQ(level(), (DemandLevel{.held = 1}));
  ok(Release{lease_of(waits).id});
  EXPECT_EQ(level(), DemandLevel{}) << "what is being scrubbed is asked for by nobody";
}

TEST_F(DemandOfRequests, AStateThatIsReadBackCountsOn) {
  submit(small_);
  agent_works();
  submit(small_);
  const auto copy = state_.clone();
  EXPECT_EQ(copy.derived_difference(state_), "");
  EXPECT_TRUE(same_levels(copy.history(), state_.history()));
}

}  // namespace
}  // namespace tessera::control
