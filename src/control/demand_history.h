#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "request/request.h"

/// What was asked for, hour by hour: the past from which control/forecast.h takes the future.
namespace tessera::control {

using base::Instant;

/// Slices that count as alike: one tier, one size. In order by size first: numbers tell most of
/// them apart, and every change of a request looks for its shape.
struct DemandShape {
  base::MiB memory;
  base::MilliShare compute;
  base::Sms sms;
  std::string tier;
  std::string pool;                 ///< asked for by name; empty: any
  std::vector<std::string> models;  ///< likewise

  friend auto operator<=>(const DemandShape&, const DemandShape&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("tier", self.tier);
    visit("memory", self.memory);
    visit("compute", self.compute);
    visit("sms", self.sms);
    visit("pool", self.pool);
    visit("models", self.models);
  }
};
/// The same with names that belong to someone else, to look a shape up by.
struct DemandShapeView {
  base::MiB memory;
  base::MilliShare compute;
  base::Sms sms;
  std::string_view tier;
  std::string_view pool;
  std::vector<std::string> models;  ///< in order; seldom any

  DemandShape owned() const;
  friend std::strong_ordering operator<=>(const DemandShape& a, const DemandShapeView& b);
};
/// The size alone, for people: "18GiB, 30 SMs", "25% compute", "any size".
std::string size_of(const DemandShape& shape);

/// Slices asked for at one moment.
struct DemandLevel {
  std::int64_t waiting = 0;
  std::int64_t held = 0;  ///< by leases that are not over
  std::int64_t all() const { return waiting + held; }
  friend bool operator==(const DemandLevel&, const DemandLevel&) = default;
};

DemandShapeView view_of(const DemandShape& shape);
/// Good as long as the request stays as it is.
DemandShapeView shape_of(const request::Request& request);
/// What the request asks for now: nothing while it awaits approval and once it is over.
DemandLevel level_of(const request::Request& request);

/// One number per hour, the last hour last.
struct DemandSeries {
  std::vector<std::uint32_t> peaks;
  std::int64_t sum = 0;  ///< of the peaks; not stored
  static void fields(auto& self, auto&& visit) { visit("peaks", self.peaks); }
};

/// Per shape and hour, the most slices that were asked for at the same moment, held and waiting
/// ones together. A function of the events and their times alone: what is read off it, and when,
/// leaves it as it is.
///
/// 1. The series end with the hour of the last change; until the next one, demand is level(). They
///    reach back kHours, and no further than since().
/// 2. At most kShapes shapes have a series of their own, so all of it is at most
///    (kShapes + 1) * kHours numbers. A new shape takes the place of the one that was asked for
///    least in all these hours, whose series is added to other(): a flood of odd sizes costs the
///    rarest of the usual ones its past, and no more.
/// 3. An event costs the logarithm of the number of shapes, and once an hour a step per series.
///    Only a new shape looks at all series.
class DemandHistory {
 public:
  static constexpr std::size_t kShapes = 64;
  static constexpr std::uint32_t kHours = 5 * 7 * 24;
  using Series = std::map<DemandShape, DemandSeries, std::less<>>;

  /// A request of this shape asks for something else from now on. `at` never goes back.
  void change(const DemandShapeView& shape, const DemandLevel& before, const DemandLevel& after,
              Instant at);

  /// The first hour that is known of, in hours since the epoch; nothing before the first request.
  std::optional<std::uint32_t> since() const;
  const Series& series() const { return series_; }
  const DemandSeries& other() const { return other_; }
  DemandLevel level(const DemandShape& shape) const;
  /// Of all shapes that have no series of their own.
  std::int64_t other_level() const { return other_level_; }
  /// The peak of an hour, which may be after the last change.
  std::uint32_t peak(const DemandSeries& series, std::int64_t level, std::uint32_t hour) const;

  static void fields(auto& self, auto&& visit) {
    visit("series", self.series_);
    visit("other", self.other_);
    visit("since", self.since_);
    visit("last", self.last_);
  }
  /// Derives the levels anew: clear_levels(), then count() for every request.
  void clear_levels();
  void count(const DemandShapeView& shape, const DemandLevel& level);
  friend bool same_levels(const DemandHistory& a, const DemandHistory& b) {
    return a.levels_ == b.levels_ && a.other_level_ == b.other_level_;
  }

 private:
  void advance(std::uint32_t hour);
  /// Of a shape that is asked for.
  struct Level {
    DemandLevel now;
    bool own_series = false;
    friend bool operator==(const Level&, const Level&) = default;
  };
  using Levels = std::map<DemandShape, Level, std::less<>>;

  Levels::iterator level_at(const DemandShapeView& shape);
  void lower(const DemandShapeView& shape, const DemandLevel& by);
  void raise(const DemandShapeView& shape, const DemandLevel& by);
  /// Gives a shape a series, at the cost of another where there are too many.
  DemandSeries& admit(Levels::value_type& level);
  void evict_lightest();
  static void extend(DemandSeries& series, std::int64_t level, std::uint32_t hours);
  static void note(DemandSeries& series, std::int64_t level);

  Series series_;
  DemandSeries other_;
  std::uint32_t since_ = 0;
  std::uint32_t last_ = 0;  ///< the hour of the last change

  Levels levels_;
  std::int64_t other_level_ = 0;
};

/// Hours since the epoch.
std::uint32_t hour_of(Instant instant);
Instant start_of(std::uint32_t hour);

}  // namespace tessera::control
