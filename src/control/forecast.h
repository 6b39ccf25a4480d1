#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/week.h"
#include "control/demand_history.h"

/// What will be asked for, by what was asked for at such times before. Whole numbers throughout:
/// the same history and question give the same answer, on any machine.
namespace tessera::control {

/// What to look at.
struct ForecastWish {
  std::int32_t percentile = 95;         ///< 1 … 100, by nearest rank
  std::uint32_t over = 4 * 7 * 24;      ///< hours looked back; 1 … DemandHistory::kHours
  std::optional<base::WeekTime> at;     ///< the hour it begins with; absent: the present one
  std::uint32_t hours = 4;              ///< how many hours are looked ahead; 1 … 24
  std::int64_t headroom = kNoHeadroom;  ///< thousandths: 1200 adds a fifth
  static constexpr std::int64_t kNoHeadroom = 1000;
  static void fields(auto& self, auto&& visit) {
    visit("percentile", self.percentile);
    visit("over", self.over);
    visit("at", self.at);
    visit("hours", self.hours);
    visit("headroom", self.headroom);
  }
};

/// Which past hours an hour to come was compared with.
enum class ForecastBasis : std::uint8_t { kSameWeekHour, kSameHour, kAllHours, kNothing };
std::string_view to_string(ForecastBasis basis);
/// Fewer hours than this tell nothing: more distant ones are taken then.
inline constexpr std::size_t kFewestSamples = 3;

/// One tier and size.
struct ForecastLine {
  DemandShape shape;
  std::int64_t waiting = 0;   ///< now
  std::int64_t held = 0;      ///< now
  std::int64_t usual = 0;     ///< the percentile of the hour with the highest
  std::int64_t expected = 0;  ///< with headroom, rounded up
  std::int64_t more = 0;      ///< of them, what a plan is to make room for
  static void fields(auto& self, auto&& visit) {
    visit("shape", self.shape);
    visit("waiting", self.waiting);
    visit("held", self.held);
    visit("usual", self.usual);
    visit("expected", self.expected);
    visit("more", self.more);
  }
};

struct Forecast {
  ForecastWish wish;
  Instant from{};        ///< the hours looked at begin here
  Instant known_from{};  ///< the oldest hour that was looked at; epoch if none was
  ForecastBasis basis = ForecastBasis::kNothing;  ///< the least of all hours to come
  std::uint32_t samples = 0;                      ///< the fewest that any of them rests on
  std::vector<ForecastLine> lines;  ///< by tier and size; those with nothing to say left out
  ForecastLine other;               ///< all other sizes together; never planned for
  static void fields(auto& self, auto&& visit) {
    visit("wish", self.wish);
    visit("from", self.from);
    visit("knownFrom", self.known_from);
    visit("basis", self.basis);
    visit("samples", self.samples);
    visit("lines", self.lines);
    visit("other", self.other);
  }
};

/// Of each hour to come: the percentile of the past hours with the same weekday and hour; where
/// fewer than kFewestSamples of these are known, of those with the same hour on any day; where
/// these are too few as well, of all. Of several hours to come the highest counts. The hour that is
/// going on is none of the past. With no past at all, what is asked for now is expected to stay.
/// `more` is what is expected beyond what is held, less what waits where `waiting_apart` says that
/// those requests are planned for as such.
Forecast forecast(const DemandHistory& history, const ForecastWish& wish, Instant now,
                  bool waiting_apart);

/// The value at rank ceil(percent / 100 * count) of the rising values; `values` is not empty.
std::int64_t nearest_rank(std::vector<std::uint32_t> values, std::int32_t percent);

/// "from 4 hours of the same weekday and hour".
std::string describe_basis(const Forecast& forecast);

}  // namespace tessera::control
