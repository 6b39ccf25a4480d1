#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tessera::base {

/// Points in time are UTC, to the millisecond: devices answer in fractions of a second, bills are
/// rounded to the second by metering alone.
using Duration = std::chrono::milliseconds;
using Instant = std::chrono::sys_time<Duration>;

/// The present, as a port: only `app` and `simulation` make one. Core rooms never hold a Clock,
/// they are told the time.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
};

/// Parses "8h", "90m", "2d", "4w", "1h30m", "45s". Errors: kInvalidQuantity (no unit, sign, above
/// 10 years).
Result<Duration> parse_duration(std::string_view text);
/// The two largest units that are not zero: "8h", "1h30m", "2d4h", "45s", "350ms".
std::string to_string(Duration duration);

/// RFC 3339 in UTC: "2026-11-22T19:30:00Z", with milliseconds only where they are not zero.
std::string to_string(Instant instant);
Result<Instant> parse_instant(std::string_view text);

}  // namespace tessera::base
