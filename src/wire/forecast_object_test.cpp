#include "wire/forecast_object.h"

#include <gtest/gtest.h>

#include "wire/plan_resource.h"

namespace tessera::wire {
namespace {

using namespace std::chrono_literals;
using control::DemandShape;

control::ForecastWish wish_of(const std::string& body) {
  const auto order = decode_plan_order(R"({"forecast":)" + body + "}");
  EXPECT_TRUE(order) << body << ": " << base::to_string(order.error());
  return order ? order->wish.forecast.value_or(control::ForecastWish{.percentile = 0})
               : control::ForecastWish{};
}

TEST(ForecastWish, EverythingHasADefault) {
  EXPECT_FALSE(decode_plan_order("{}")->wish.forecast);
  const auto wish = wish_of("{}");
  EXPECT_EQ(wish.percentile, 95);
  EXPECT_EQ(wish.over, 672u);
  EXPECT_EQ(wish.hours, 4u);
  EXPECT_EQ(wish.headroom, 1000);
  EXPECT_FALSE(wish.at);
}

TEST(ForecastWish, IsReadExactly) {
  const auto wish =
      wish_of(R"({"percentile":50,"over":"2w","at":"Sat 02:00","for":"6h","headroom":1.25})");
  EXPECT_EQ(wish.percentile, 50);
  EXPECT_EQ(wish.over, 336u);
  EXPECT_EQ(wish.hours, 6u);
  EXPECT_EQ(wish.headroom, 1250);
  EXPECT_EQ(base::to_string(wish.at.value()), "Sat 02:00");
  EXPECT_FALSE(wish_of(R"({"at":"now"})").at);
}

TEST(ForecastWish, WhatMakesNoSenseIsRefused) {
  for (const char* body :
       {R"({"percentile":0})", R"({"percentile":101})", R"({"percentile":"95"})",
        R"({"over":"6w"})", R"({"over":"90m"})", R"({"over":"0h"})", R"({"for":"25h"})",
        R"({"at":"Saturday"})", R"({"headroom":-1})", R"({"headroom":11})",
        R"({"headroom":1.2345})", R"({"overs":"4w"})", "[]", "4"})
    EXPECT_FALSE(decode_plan_order(R"({"forecast":)" + std::string(body) + "}")) << body;
}

TEST(History, ShowsTheHoursThatAreOver) {
  control::DemandHistory history;
  const DemandShape shape{.memory = base::MiB(18 * 1024),
                          .compute = base::MilliShare(125),
                          .sms = {},
                          .tier = "production",
                          .pool = "h100",
                          .models = {}};
  base::Instant now = control::start_of(500'000);
  history.change(view_of(shape), {}, {.waiting = 2}, now);
  now += 2h + 5min;
  history.change(view_of(shape), {.waiting = 2}, {.held = 1}, now);
  const auto object = history_object(history, now, 672);
  EXPECT_EQ(object["kind"], "DemandHistory");
  EXPECT_EQ(object["from"], base::to_string(control::start_of(500'000)));
  EXPECT_EQ(object["hours"], 2);
  EXPECT_EQ(object["series"].dump(),
            R"([{"computePercent":12.5,"held":1,"memory":"18GiB","peaks":[2,2],"pool":"h100",)"
            R"("size":"18GiB, 12.5% compute, pool h100","tier":"production","waiting":0}])");
  EXPECT_EQ(history_object(history, now, 1)["series"][0]["peaks"].dump(), "[2]");
  EXPECT_EQ(history_object({}, now, 672)["hours"], 0);

  const auto forecast = forecast_json(control::forecast(history, {.headroom = 1500}, now, true));
  EXPECT_EQ(forecast["basis"], "all-hours");
  EXPECT_EQ(forecast["samples"], 2);
  EXPECT_EQ(forecast["headroom"], 1.5);
  EXPECT_EQ(forecast["over"], "28d");
  EXPECT_EQ(forecast["lines"][0]["usual"], 2);
  EXPECT_EQ(forecast["lines"][0]["expected"], 3);
  EXPECT_EQ(forecast["lines"][0]["more"], 2);
}

}  // namespace
}  // namespace tessera::wire
