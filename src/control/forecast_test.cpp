#include "control/forecast.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include <gtest/gtest.h>

#include "base/random.h"
#include "control/plan_draft.h"
#include "control/plan_world.h"

namespace tessera::control {
namespace {

using namespace std::chrono_literals;

const DemandShape kShape{.memory = base::MiB(18 * 1024),
                         .compute = {},
                         .sms = {},
                         .tier = "production",
                         .pool = {},
                         .models = {}};

/// Demand that is set hour by hour.
class ForecastTest : public testing::Test {
 protected:
  void set(std::int64_t level) {
    history_.change(view_of(kShape), {.held = level_}, {.held = level}, now_);
    level_ = level;
  }
  /// `level_at(hour)` for so many hours; the clock stands at the beginning of the next one then.
  template <class LevelAt>
  void pass(std::uint32_t hours, LevelAt level_at) {
    for (std::uint32_t i = 0; i < hours; ++i, now_ += 1h) {
      set(0);
      set(level_at(hour_of(now_)));
      now_ += 30min;
      set(0);
      now_ -= 30min;
    }
  }
  ForecastLine line(const ForecastWish& wish) {
    const auto made = forecast(history_, wish, now_, false);
    return made.lines.empty() ? ForecastLine{} : made.lines.front();
  }

  DemandHistory history_;
  std::int64_t level_ = 0;
  Instant now_ = base::parse_instant("2026-11-01T00:00:00Z").value();  // a Sunday
};

TEST(NearestRank, IsTheSmallestValueThatCoversThePercentage) {
  EXPECT_EQ(nearest_rank({7}, 1), 7);
  EXPECT_EQ(nearest_rank({7}, 100), 7);
  EXPECT_EQ(nearest_rank({15, 20, 35, 40, 50}, 30), 20);
  EXPECT_EQ(nearest_rank({50, 40, 35, 20, 15}, 40), 20);
  EXPECT_EQ(nearest_rank({15, 20, 35, 40, 50}, 50), 35);
  EXPECT_EQ(nearest_rank({15, 20, 35, 40, 50}, 100), 50);
}

TEST_F(ForecastTest, LooksAtTheSameHourOfTheSameWeekday) {
  const auto monday_nine = 24u + 9u;
  const auto begin = hour_of(now_);
  pass(4 * 168, [&](std::uint32_t hour) {
    return (hour - begin) % 168 == monday_nine ? 10 + (hour - begin) / 168 : 1;
  });
  ForecastWish wish{.at = base::parse_week_time("Mon 09:00").value(), .hours = 1};
  const auto made = forecast(history_, wish, now_, false);
  EXPECT_EQ(made.basis, ForecastBasis::kSameWeekHour);
  EXPECT_EQ(made.samples, 4u);
  EXPECT_EQ(base::to_string(made.from), "2026-11-30T09:00:00Z");
  EXPECT_EQ(base::to_string(made.known_from), "2026-11-01T00:00:00Z");
  EXPECT_EQ(line(wish).usual, 13);
  wish.percentile = 50;
  EXPECT_EQ(line(wish).usual, 11);
  wish.at = base::parse_week_time("Mon 08:00").value();
  EXPECT_EQ(line(wish).usual, 1);
  wish.hours = 2;
  EXPECT_EQ(line(wish).usual, 11) << "of several hours the highest";
}

TEST_F(ForecastTest, FallsBackWhereTooLittleIsKnown) {
  const auto begin = hour_of(now_);
  EXPECT_EQ(forecast(history_, {}, now_, false).basis, ForecastBasis::kNothing);
  pass(2, [](std::uint32_t) { return 4; });
  EXPECT_EQ(forecast(history_, {}, now_, false).basis, ForecastBasis::kAllHours);
  EXPECT_EQ(forecast(history_, {}, now_, false).samples, 2u);
  pass(94, [&](std::uint32_t hour) { return (hour - begin) % 24 == 3 ? 8 : 2; });
  const ForecastWish three{.at = base::parse_week_time("Sat 03:00").value(), .hours = 1};
  const auto made = forecast(history_, three, now_, false);
  EXPECT_EQ(made.basis, ForecastBasis::kSameHour);
  EXPECT_EQ(made.samples, 4u);
  EXPECT_EQ(made.lines.front().usual, 8);
  EXPECT_NE(describe_basis(made).find("any day"), std::string::npos);
}

TEST_F(ForecastTest, TheHourThatIsGoingOnIsNoneOfThePast) {
  pass(24, [](std::uint32_t) { return 2; });
  set(50);
  const auto now = line({});
  EXPECT_EQ(now.usual, 2);
  EXPECT_EQ(now.held, 50);
  EXPECT_EQ(now.more, 0);
}

TEST_F(ForecastTest, HeadroomIsRoundedUpAndWhatIsHeldTakenOff) {
  pass(48, [](std::uint32_t) { return 7; });
  set(3);
  history_.change(view_of(kShape), {}, {.waiting = 2}, now_);
  const auto more = line({.headroom = 1200});
  EXPECT_EQ(more.usual, 7);
  EXPECT_EQ(more.expected, 9) << "8.4";
  EXPECT_EQ(more.more, 6);
  EXPECT_EQ(forecast(history_, {.headroom = 1200}, now_, true).lines.front().more, 4);
}

/// Everything from a list of (hour, level), the obvious way.
TEST_F(ForecastTest, AgreesWithTheObvious) {
  base::SeededRandom random(95);
  for (int round = 0; round < 60; ++round) {
    history_ = {};
    level_ = 0;
    now_ =
        base::parse_instant("2026-11-01T00:00:00Z").value() + std::chrono::hours(random.below(200));
    std::map<std::uint32_t, std::int64_t> levels;
    const auto hours = static_cast<std::uint32_t>(1 + random.below(900));
    set(1);
    pass(hours, [&](std::uint32_t hour) {
      levels[hour] = static_cast<std::int64_t>(random.below(30));
      return levels[hour];
    });
    levels[levels.begin()->first] = std::max<std::int64_t>(levels.begin()->second, 1);
    ForecastWish wish{.percentile = static_cast<std::int32_t>(1 + random.below(100)),
                      .over = static_cast<std::uint32_t>(1 + random.below(840)),
                      .hours = static_cast<std::uint32_t>(1 + random.below(24)),
                      .headroom = static_cast<std::int64_t>(random.below(3000))};
    if (random.chance(1, 2))
      wish.at = base::WeekTime{static_cast<std::int32_t>(random.below(10080))};
    const auto now = hour_of(now_);
    auto begin = now;
    if (wish.at)
      while (base::week_time_of(start_of(begin)).minute / 60 != wish.at->minute / 60) ++begin;
    std::int64_t most = 0;
    for (auto hour = begin; hour < begin + wish.hours; ++hour) {
      std::vector<std::int64_t> same, any, all;
      for (const auto& [past, level] : levels) {
        if (past + wish.over < now || past + DemandHistory::kHours <= now - 1) continue;
        all.push_back(level);
        if (past % 24 == hour % 24) any.push_back(level);
        if (past % 168 == hour % 168) same.push_back(level);
      }
      auto& taken = same.size() >= 3 ? same : any.size() >= 3 ? any : all;
      std::ranges::sort(taken);
      const auto rank = std::ceil(wish.percentile * static_cast<double>(taken.size()) / 100 - 1e-9);
      most = std::max(most, taken[static_cast<std::size_t>(rank) - 1]);
    }
    const auto found = line(wish);
    ASSERT_EQ(found.usual, most) << round;
    ASSERT_EQ(found.expected, (most * wish.headroom + 999) / 1000) << round;
  }
}

/// What was asked for, worked out anew from the records alone.
struct Recount {
  struct Life {
    DemandShape of;
    std::int64_t slices = 0;
    bool asks = false;
  };
  std::map<RequestId, Life> lives;
  std::map<LeaseId, RequestId> owners;
  std::map<DemandShape, std::map<std::uint32_t, std::int64_t>> peaks;
  std::uint32_t hour = 0;

  /// The levels stand until then.
  void pass(Instant at) {
    for (; hour < hour_of(at); ++hour) note(hour + 1);
  }
  void follow(const Record& record) {
    pass(record.at);
    for (const auto& event : record.events) {
      if (const auto* submitted = std::get_if<RequestSubmitted>(&event)) {
        const auto& [id, need] = std::tie(submitted->request.id, submitted->request.need);
        lives[id] = {
            {need.memory, need.compute, need.sms, submitted->request.tier, need.pool, need.models},
            need.slices(),
            submitted->request.state != request::RequestState::kPendingApproval};
      } else if (const auto* moved = std::get_if<RequestMoved>(&event)) {
        lives[moved->request].asks = moved->state == request::RequestState::kQueued;
      } else if (const auto* granted = std::get_if<LeaseGranted>(&event)) {
        owners[granted->lease.id] = granted->lease.request;
        lives[granted->lease.request].asks = true;
      } else if (const auto* ending = std::get_if<LeaseEnding>(&event)) {
        lives[owners.at(ending->lease)].asks = ending->requeue;
      }
      note(hour_of(record.at));
    }
  }
  void note(std::uint32_t at) {
    std::map<DemandShape, std::int64_t> levels;
    for (const auto& [id, life] : lives) levels[life.of] += life.asks ? life.slices : 0;
    for (const auto& [of, level] : levels) {
      auto& most = peaks[of][at];
      most = std::max(most, level);
    }
  }
};

using HistoryOfRequests = PlanWorld;

TEST_F(HistoryOfRequests, AgreesWithTheJournal) {
  base::SeededRandom random(672);
  std::vector<RequestId> made;
  for (int step = 0; step < 400; ++step) {
    now_ += std::chrono::minutes(random.below(100));
    ok(Tick{});
    if (random.chance(1, 2) || made.empty()) {
      made.push_back(
          submit({.memory = base::MiB(1024 * (5 + 9 * static_cast<int>(random.below(4)))),
                  .isolation = catalog::Isolation::kPartition,
                  .count = 1 + static_cast<int>(random.below(2)),
                  .duration = std::chrono::hours(1 + random.below(30)),
                  .nodes = random.chance(1, 6) ? 2 : 1}));
    } else {
      (void)run(Cancel{made[random.below(made.size())]});
    }
    work_all();
    if (random.chance(1, 40)) state_ = state_.clone();
  }
  Recount recount;
  recount.hour = hour_of(records_.front().at);
  for (const auto& record : records_) recount.follow(record);
  recount.pass(now_);
  ASSERT_EQ(recount.peaks.size(), 4u);
  const auto now = hour_of(now_);
  for (const auto& [of, hours] : recount.peaks) {
    std::vector<std::uint32_t> past;
    for (auto hour = *state_.history().since(); hour < now; ++hour) {
      const auto found = hours.find(hour);
      past.push_back(found == hours.end() ? 0 : static_cast<std::uint32_t>(found->second));
      const auto series = state_.history().series().find(of);
      ASSERT_NE(series, state_.history().series().end());
      ASSERT_EQ(state_.history().peak(series->second, state_.history().level(of).all(), hour),
                past.back())
          << hour;
    }
    const ForecastWish wish{.percentile = 80, .over = 3, .hours = 1};
    const auto made_now = forecast(state_.history(), wish, now_, false);
    past.erase(past.begin(), past.end() - 3);
    std::ranges::sort(past);
    const auto line = std::ranges::find(made_now.lines, of, &ForecastLine::shape);
    EXPECT_EQ(line == made_now.lines.end() ? 0 : line->usual, past.back()) << "the third of three";
  }
}

/// Two slices of 18 GiB were asked for in every hour of the past; now there is one.
class ForecastPlan : public PlanWorld {
 protected:
  ForecastPlan() {
    for (int hour = 0; hour < 30; ++hour) {
      const auto a = submit(18), b = submit(18);
      work_all();
      now_ += 20min;
      ok(Release{lease_of(a).id});
      ok(Release{lease_of(b).id});
      work_all();
      now_ += 40min;
    }
    held_ = submit(18);
    work_all();
  }
  RequestId held_;
};

TEST_F(ForecastPlan, WhatIsExpectedIsPlannedForBehindWhatWaits) {
  const auto draft = draft_plan(state_, {.forecast = ForecastWish{.headroom = 2000}, .now = now_});
  ASSERT_TRUE(draft) << base::to_string(draft.error());
  EXPECT_EQ(request(held_).state, request::RequestState::kActive);
  ASSERT_EQ(draft->forecast->lines.size(), 1u);
  const auto& line = draft->forecast->lines.front();
  EXPECT_EQ(line.shape.tier, "production");
  EXPECT_EQ(line.usual, 2);
  EXPECT_EQ(line.expected, 4);
  EXPECT_EQ(line.held, 1);
  EXPECT_EQ(line.more, 3);
  ASSERT_EQ(draft->problem.demands.size(), 1u);
  EXPECT_EQ(draft->problem.demands.front().count, 3);
  EXPECT_EQ(draft->problem.demands.front().value, kExpectedValue);
  EXPECT_EQ(draft->demand_texts.front(), "expected in production: 18GiB");
}

TEST_F(ForecastPlan, ARequestThatNobodyPlansForTakesNothingOffWhatIsExpected) {
  const auto in_use = state_.usage("vision", *state_.fleet().find_pool("h100"));
  ok(PutTeam{{.name = "vision", .quotas = {{"h100", {.limit = in_use}}}}});
  const auto waits = submit(18);
  ASSERT_EQ(request(waits).reason, Reason::kQuotaReached);
  const auto draft = draft_plan(state_, {.forecast = ForecastWish{.headroom = 2000}, .now = now_});
  ASSERT_TRUE(draft) << base::to_string(draft.error());
  ASSERT_EQ(draft->problem.demands.size(), 1u) << "none for what waits";
  EXPECT_EQ(draft->forecast->lines.front().waiting, 1);
  EXPECT_EQ(draft->problem.demands.front().count, 3);
}

}  // namespace
}  // namespace tessera::control
