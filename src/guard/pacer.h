#pragma once

#include <algorithm>
#include <cstdint>

/// How many launches go between two marks, how long the work in flight will take, and how long a
/// tenant without an agent rests. Only computes; the caller locks.
///
/// Invariants: with `kMostMarks` unfinished marks allowed at most that many batches and one more
/// are in flight, each of about its budget, or of one launch where a launch takes longer.
namespace tessera::guard {

class Pacer {
 public:
  static constexpr unsigned kMostMarks = 1;
  static constexpr double kBatchUs = 500;
  /// With one batch in flight at a time, beside somebody latency-critical.
  static constexpr double kTightBatchUs = 250;
  static constexpr unsigned kMostLaunches = 512;
  static constexpr double kLongestRestUs = 1e6;
  /// What a launch is expected to take before any was seen to end.
  static constexpr double kUnknownUs = 10'000;

  unsigned batch(double budget_us = kBatchUs) const {
    if (average_us_ < 0) return 1;
    return average_us_ * kMostLaunches <= budget_us
               ? kMostLaunches
               : std::max(1U, static_cast<unsigned>(budget_us / average_us_));
  }
  double expected_us(std::uint64_t launches) const {
    return static_cast<double>(launches) * (average_us_ < 0 ? kUnknownUs : average_us_);
  }
  /// How long to wait between two looks at whether a batch is done.
  std::uint64_t look_us() const {
    return static_cast<std::uint64_t>(std::clamp(average_us_ / 16, 50.0, 500.0));
  }

  /// `launches` have taken the GPU for `busy_us`, and are done now.
  void learn(unsigned launches, double busy_us, unsigned percent, double now_us) {
    if (launches == 0 || !(busy_us >= 0)) return;
    const double each = busy_us / launches;
    // Shorter is believed at once: an estimate that is too long makes needlessly small batches.
    average_us_ = average_us_ < 0 || each < average_us_ ? each : average_us_ * 0.75 + each * 0.25;
    // Time that was not used is not saved up: what was done began now, less what it took, at the
    // earliest.
    if (percent < 100)
      paid_until_us_ = std::max(paid_until_us_, now_us - busy_us) + busy_us * 100.0 / percent;
  }

  /// How long the next launch has to wait until what was done is paid for.
  std::uint64_t rest_us(double now_us) const {
    return static_cast<std::uint64_t>(std::clamp(paid_until_us_ - now_us, 0.0, kLongestRestUs));
  }

 private:
  double average_us_ = -1;
  double paid_until_us_ = 0;
};

}  // namespace tessera::guard
