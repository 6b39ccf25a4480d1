#include "base/week.h"

#include <gtest/gtest.h>

namespace tessera::base {
namespace {

using namespace std::chrono_literals;

Instant at(std::string_view text) {
  return parse_instant(text).value();
}

TEST(Week, TimesAreReadAndWritten) {
  for (const char* text : {"Sun 00:00", "Sat 23:59", "Wed 12:30"})
    EXPECT_EQ(to_string(parse_week_time(text).value()), text);
  for (const char* text : {"", "Sat", "Sat 24:00", "Sat 2:00", "sat 02:00", "Sat 02:60",
                           "Sat-02:00", "Sat 02:00 ", "Sat +2:00"})
    EXPECT_EQ(parse_week_time(text).error().reason, Reason::kInvalidQuantity) << text;
}

TEST(Week, TheNextTimeIsNow_OrLater) {
  const WeekTime time = parse_week_time("Sat 02:00").value();
  EXPECT_EQ(next(time, at("2026-11-23T10:00:00Z")), at("2026-11-28T02:00:00Z")) << "a Monday";
  EXPECT_EQ(next(time, at("2026-11-28T02:00:00Z")), at("2026-11-28T02:00:00Z"));
  EXPECT_EQ(next(time, at("2026-11-28T02:00:00.001Z")), at("2026-12-05T02:00:00Z"));
  EXPECT_EQ(next(time, at("1969-12-31T23:00:00Z")), at("1970-01-03T02:00:00Z"));
  EXPECT_EQ(to_string(week_time_of(Instant{})), "Thu 00:00");
}

TEST(Week, AWindowIsTheOneGoingOnOrTheNext) {
  const WeekWindow window = parse_week_window("Sat 22:00-02:00").value();
  EXPECT_EQ(window.length, 4h);
  EXPECT_EQ(to_string(window), "Sat 22:00-02:00");
  const auto before = next_opening(window, at("2026-11-28T21:59:59.999Z"));
  EXPECT_EQ(before.opens, at("2026-11-28T22:00:00Z"));
  EXPECT_EQ(before.closes, at("2026-11-29T02:00:00Z"));
  EXPECT_EQ(next_opening(window, at("2026-11-29T01:59:59.999Z")).opens, before.opens);
  EXPECT_EQ(next_opening(window, before.closes).opens, at("2026-12-05T22:00:00Z"));
}

TEST(Week, AWindowThatIsNoneIsRefused) {
  for (const char* text :
       {"Sat 02:00", "Sat 02:00-02:00", "02:00-06:00", "Sat 02:00-Sun 06:00", "Sat 02:00-25:00"})
    EXPECT_EQ(parse_week_window(text).error().reason, Reason::kInvalidQuantity) << text;
}

}  // namespace
}  // namespace tessera::base
