#pragma once

#include <algorithm>
#include <cstdint>

/// How many launches go between two marks, and how long a tenant without an agent rests.
/// Only computes; the caller locks.
///
/// Invariant: at most kMostMarks + 1 batches are in flight, each of about kBatchUs, or of one
/// launch where a launch takes longer.
namespace tessera::guard {

class Pacer {
 public:
  static constexpr unsigned kMostMarks = 1;
  static constexpr double kBatchUs = 500;
  static constexpr unsigned kMostLaunches = 512;
  static constexpr double kLongestRestUs = 1e6;

  unsigned batch() const { return batch_; }

  /// `launches` have taken the GPU for `busy_us`.
  void learn(unsigned launches, double busy_us, unsigned percent) {
    if (launches == 0 || !(busy_us >= 0)) return;
    const double each = busy_us / launches;
    // Shorter is believed at once: an estimate that is too long makes needlessly small batches.
    average_us_ = average_us_ < 0 || each < average_us_ ? each : average_us_ * 0.75 + each * 0.25;
    batch_ = average_us_ * kMostLaunches <= kBatchUs
                 ? kMostLaunches
                 : std::max(1U, static_cast<unsigned>(kBatchUs / average_us_));
    if (percent < 100)
      rest_us_ = std::min(rest_us_ + busy_us * (100.0 / percent - 1), kLongestRestUs);
  }

  /// The rest that is due, which the caller now takes.
  std::uint64_t take_rest() {
    const double due = rest_us_;
    rest_us_ = 0;
    return static_cast<std::uint64_t>(due);
  }

 private:
  unsigned batch_ = 1;
  double average_us_ = -1;
  double rest_us_ = 0;
};

}  // namespace tessera::guard
