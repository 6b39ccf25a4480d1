#include "control/forecast.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace tessera::control {
namespace {

constexpr std::uint32_t kDay = 24;
constexpr std::uint32_t kWeek = 7 * kDay;

/// The past hours that one hour to come is compared with.
struct Sample {
  ForecastBasis basis = ForecastBasis::kNothing;
  std::vector<std::uint32_t> hours;
};

class Forecaster {
 public:
  Forecaster(const DemandHistory& history, const ForecastWish& wish, Instant now)
      : history_(history), wish_(wish), now_(hour_of(now)), begin_(first_hour(now)) {
    const auto since = history.since().value_or(now_);
    oldest_ = std::min(now_, std::max(since, now_ - std::min(now_, wish.over)));
    for (std::uint32_t i = 0; i < wish.hours; ++i) samples_.push_back(sample_of(begin_ + i));
  }

  Forecast run(bool waiting_apart) const {
    Forecast made;
    made.wish = wish_;
    made.from = start_of(begin_);
    if (oldest_ < now_) made.known_from = start_of(oldest_);
    const auto weakest = std::ranges::max_element(samples_, {}, &Sample::basis);
    made.basis = weakest->basis;
    made.samples = static_cast<std::uint32_t>(weakest->hours.size());
    for (const auto& sample : samples_)
      if (sample.basis == made.basis)
        made.samples = std::min(made.samples, static_cast<std::uint32_t>(sample.hours.size()));
    for (const auto& [shape, series] : history_.series()) {
      auto line = line_of(series, history_.level(shape), waiting_apart);
      line.shape = shape;
      if (line.expected > 0 || line.held > 0 || line.waiting > 0)
        made.lines.push_back(std::move(line));
    }
    std::ranges::stable_sort(made.lines, {}, [](const ForecastLine& line) -> const std::string& {
      return line.shape.tier;
    });
    made.other = line_of(history_.other(), {history_.other_level(), 0}, true);
    made.other.more = 0;
    return made;
  }

 private:
  std::uint32_t first_hour(Instant now) const {
    return wish_.at ? hour_of(base::next(*wish_.at, start_of(hour_of(now)))) : hour_of(now);
  }

  Sample sample_of(std::uint32_t hour) const {
    for (const auto& [basis, period] :
         {std::pair(ForecastBasis::kSameWeekHour, kWeek), std::pair(ForecastBasis::kSameHour, kDay),
          std::pair(ForecastBasis::kAllHours, std::uint32_t{1})}) {
      auto alike = hours_like(hour, period);
      const bool last = basis == ForecastBasis::kAllHours;
      if (alike.size() >= kFewestSamples || (last && !alike.empty())) return {basis, alike};
    }
    return {};
  }

  /// The known past hours that are whole periods before `hour`.
  std::vector<std::uint32_t> hours_like(std::uint32_t hour, std::uint32_t period) const {
    std::vector<std::uint32_t> hours;
    for (auto past = oldest_ + (hour - oldest_) % period; past < now_; past += period)
      hours.push_back(past);
    return hours;
  }

  ForecastLine line_of(const DemandSeries& series, DemandLevel level, bool waiting_apart) const {
    ForecastLine line{.shape = {}, .waiting = level.waiting, .held = level.held};
    for (const auto& sample : samples_) {
      std::vector<std::uint32_t> peaks;
      peaks.reserve(sample.hours.size());
      for (const auto hour : sample.hours)
        peaks.push_back(history_.peak(series, level.all(), hour));
      const auto usual =
          peaks.empty() ? level.all() : nearest_rank(std::move(peaks), wish_.percentile);
      line.usual = std::max(line.usual, usual);
    }
    line.expected =
        (line.usual * wish_.headroom + ForecastWish::kNoHeadroom - 1) / ForecastWish::kNoHeadroom;
    const auto had = line.held + (waiting_apart ? line.waiting : 0);
    line.more = std::max<std::int64_t>(0, line.expected - had);
    return line;
  }

  const DemandHistory& history_;
  const ForecastWish& wish_;
  std::uint32_t now_;
  std::uint32_t begin_;  ///< of the hours to come
  std::uint32_t oldest_ = 0;
  std::vector<Sample> samples_;  ///< by hour to come
};

}  // namespace

std::string_view to_string(ForecastBasis basis) {
  constexpr std::array<std::string_view, 4> kNames = {"same-weekday-and-hour", "same-hour",
                                                      "all-hours", "nothing"};
  return kNames[static_cast<std::size_t>(basis)];
}

Forecast forecast(const DemandHistory& history, const ForecastWish& wish, Instant now,
                  bool waiting_apart) {
  return Forecaster(history, wish, now).run(waiting_apart);
}

std::int64_t nearest_rank(std::vector<std::uint32_t> values, std::int32_t percent) {
  CHECK(!values.empty() && percent >= 1 && percent <= 100);
  const auto rank = (values.size() * static_cast<std::size_t>(percent) + 99) / 100;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::ranges::nth_element(values, at);
  return *at;
}

std::string describe_basis(const Forecast& forecast) {
  const auto hours =
      std::to_string(forecast.samples) + (forecast.samples == 1 ? " hour" : " hours");
  switch (forecast.basis) {
    case ForecastBasis::kSameWeekHour:
      return "from " + hours + " of the same weekday and hour";
    case ForecastBasis::kSameHour:
      return "from " + hours +
             " of the same hour on any day: too few of the same weekday are known";
    case ForecastBasis::kAllHours:
      return "from all " + hours + " that are known: too few of the same hour";
    case ForecastBasis::kNothing:
      return "from what is asked for now: no whole hour is known yet";
  }
  return {};
}

}  // namespace tessera::control
