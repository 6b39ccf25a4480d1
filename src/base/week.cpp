#include "base/week.h"

#include <array>
#include <cstdio>
#include <optional>

namespace tessera::base {
namespace {

using namespace std::chrono_literals;

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::int32_t kDay = 24 * 60;
constexpr std::int32_t kMinutesOfWeek = 7 * kDay;
/// The epoch was a Thursday.
constexpr std::int32_t kEpoch = 4 * kDay;

std::optional<int> two_digits(std::string_view text, int below) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() != 2 || !digit(text[0]) || !digit(text[1])) return std::nullopt;
  const int number = (text[0] - '0') * 10 + (text[1] - '0');
  return number < below ? std::optional(number) : std::nullopt;
}

/// "02:00" as a minute of the day.
std::optional<std::int32_t> clock_from(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hour = two_digits(text.substr(0, 2), 24);
  const auto minute = two_digits(text.substr(3), 60);
  if (!hour || !minute) return std::nullopt;
  return *hour * 60 + *minute;
}

std::optional<WeekTime> time_from(std::string_view text) {
  if (text.size() != 9 || text[3] != ' ') return std::nullopt;
  const auto clock = clock_from(text.substr(4));
  for (std::size_t day = 0; day < kDays.size(); ++day)
    if (clock && text.substr(0, 3) == kDays[day])
      return WeekTime{static_cast<std::int32_t>(day) * kDay + *clock};
  return std::nullopt;
}

std::string clock_text(std::int32_t minute) {
  std::array<char, 16> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%02d:%02d", minute / 60 % 24, minute % 60);
  return buffer.data();
}

std::string quoted(std::string_view text) {
  return "\"" + std::string(text.substr(0, 64)) + "\"";
}

}  // namespace

Result<WeekTime> parse_week_time(std::string_view text) {
  if (const auto time = time_from(text)) return *time;
  return fail(Reason::kInvalidQuantity, quoted(text) + " is not a time of the week", {},
              "write a day and a time in UTC, such as \"Sat 02:00\"");
}

std::string to_string(WeekTime time) {
  return std::string(kDays[static_cast<std::size_t>(time.minute / kDay)]) + " " +
         clock_text(time.minute);
}

WeekTime week_time_of(Instant instant) {
  const auto minutes = std::chrono::floor<std::chrono::minutes>(instant).time_since_epoch().count();
  const auto minute = (minutes + kEpoch) % kMinutesOfWeek;
  return {static_cast<std::int32_t>(minute < 0 ? minute + kMinutesOfWeek : minute)};
}

Instant next(WeekTime time, Instant now) {
  const Instant minute = std::chrono::ceil<std::chrono::minutes>(now);
  const auto ahead = (time.minute - week_time_of(minute).minute + kMinutesOfWeek) % kMinutesOfWeek;
  return minute + std::chrono::minutes(ahead);
}

Result<WeekWindow> parse_week_window(std::string_view text) {
  const auto bad = [&](const std::string& what) {
    return fail(Reason::kInvalidQuantity, quoted(text) + what, {},
                "write a day and two times in UTC, such as \"Sat 02:00-06:00\"");
  };
  if (text.size() != 15 || text[9] != '-') return bad(" is not a window of the week");
  const auto opens = time_from(text.substr(0, 9));
  const auto closes = clock_from(text.substr(10));
  if (!opens || !closes) return bad(" is not a window of the week");
  const auto length = (*closes - opens->minute % kDay + kDay) % kDay;
  if (length == 0) return bad(" closes when it opens");
  return WeekWindow{*opens, std::chrono::minutes(length)};
}

std::string to_string(const WeekWindow& window) {
  const auto length = std::chrono::floor<std::chrono::minutes>(window.length).count();
  const auto closes = window.opens.minute + static_cast<std::int32_t>(length);
  return to_string(window.opens) + "-" + clock_text(closes % kDay);
}

Opening next_opening(const WeekWindow& window, Instant now) {
  // The first that closes after now: the one that has opened already, if one is going on.
  const Instant opens = next(window.opens, now - window.length + Duration(1));
  return {opens, opens + window.length};
}

}  // namespace tessera::base
