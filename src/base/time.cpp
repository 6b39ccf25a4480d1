#include "base/time.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <utility>

namespace tessera::base {
namespace {

using namespace std::chrono_literals;

struct Unit {
  std::string_view name;
  Duration length;
};
constexpr std::array<Unit, 5> kUnits = {
    {{"d", 24h}, {"h", 1h}, {"m", 1min}, {"s", 1s}, {"ms", 1ms}}};
/// Read, but never written: what is longer than a day is clearer in days.
constexpr Unit kWeek{"w", 24h * 7};
constexpr Duration kLongest = 24h * 3660;

std::unexpected<Error> bad_duration(std::string_view text) {
  return fail(Reason::kInvalidQuantity,
              "\"" + std::string(text.substr(0, 64)) + "\" is not a duration", {},
              "write it as 8h, 90m, 2d or 1h30m, at most 10 years");
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const std::string_view whole = text;
  Duration total{};
  if (text.empty()) return bad_duration(whole);
  while (!text.empty()) {
    std::int64_t count = 0;
    auto [next, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || count < 0) return bad_duration(whole);
    text.remove_prefix(static_cast<std::size_t>(next - text.data()));
    const auto end = text.find_first_of("0123456789");
    const std::string_view name = text.substr(0, end);
    const Unit* unit = name == kWeek.name ? &kWeek : nullptr;
    for (const auto& candidate : kUnits)
      if (candidate.name == name) unit = &candidate;
    if (unit == nullptr || count > kLongest / unit->length) return bad_duration(whole);
    total += count * unit->length;
    if (total > kLongest) return bad_duration(whole);
    text.remove_prefix(name.size());
  }
  return total;
}

std::string to_string(Duration duration) {
  if (duration < Duration::zero()) return "-" + to_string(-duration);
  std::string text;
  int shown = 0;
  for (const auto& unit : kUnits) {
    const auto count = duration / unit.length;
    duration %= unit.length;
    if (count == 0 && shown == 0) continue;
    if (count != 0) text += std::to_string(count) + std::string(unit.name);
    if (++shown == 2) break;
  }
  return text.empty() ? "0s" : text;
}

std::string to_string(Instant instant) {
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(day);
  const auto millis = (instant - day).count();
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(millis / 3'600'000),
                static_cast<int>(millis / 60'000 % 60), static_cast<int>(millis / 1000 % 60));
  std::string text = buffer.data();
  if (millis % 1000 != 0) {
    std::snprintf(buffer.data(), buffer.size(), ".%03d", static_cast<int>(millis % 1000));
    text += buffer.data();
  }
  return text + "Z";
}

Result<Instant> parse_instant(std::string_view text) {
  const auto bad = [&] {
    return fail(Reason::kInvalidQuantity,
                "\"" + std::string(text.substr(0, 64)) + "\" is not a time in UTC", {},
                "write it as 2026-11-22T19:30:00Z");
  };
  const std::string copy(text);
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, millis = 0, used = 0;
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute,
                  &second, &used) != 6)
    return bad();
  std::string_view rest = std::string_view(copy).substr(static_cast<std::size_t>(used));
  if (rest.size() == 5 && rest.front() == '.') {
    auto [next, error] = std::from_chars(rest.data() + 1, rest.data() + 4, millis);
    if (error != std::errc{} || next != rest.data() + 4) return bad();
    rest.remove_prefix(4);
  }
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (rest != "Z" || !date.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 59)
    return bad();
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + Duration(millis);
}

}  // namespace tessera::base
