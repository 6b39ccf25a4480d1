#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

/// Times that come round every week, in UTC.
namespace tessera::base {

/// A minute of the week, counted from Sunday 00:00.
struct WeekTime {
  std::int32_t minute = 0;
  friend bool operator==(const WeekTime&, const WeekTime&) = default;
  static void fields(auto& self, auto&& visit) { visit("minute", self.minute); }
};

/// Parses "Sat 02:00". Errors: kInvalidQuantity.
Result<WeekTime> parse_week_time(std::string_view text);
std::string to_string(WeekTime time);
/// The minute of the week that `instant` is in.
WeekTime week_time_of(Instant instant);
/// The first such moment that is not before `now`.
Instant next(WeekTime time, Instant now);

/// A part of every week; it may go past midnight, and lasts more than nothing and less than a day.
struct WeekWindow {
  WeekTime opens;
  Duration length{};
  friend bool operator==(const WeekWindow&, const WeekWindow&) = default;
};

/// Parses "Sat 02:00-06:00" and, past midnight, "Sat 22:00-04:00". Errors: kInvalidQuantity.
Result<WeekWindow> parse_week_window(std::string_view text);
std::string to_string(const WeekWindow& window);

/// Once a window is open: from `opens` until just before `closes`.
struct Opening {
  Instant opens{};
  Instant closes{};
};
/// The one that is going on at `now`, else the next.
Opening next_opening(const WeekWindow& window, Instant now);

}  // namespace tessera::base
