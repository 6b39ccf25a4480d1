#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <utility>

#include "guard/region.h"

/// The most that each row of an account was charged on each GPU lately: what the driver said of a
/// process a moment ago is compared with what it was charged then, not with what it is charged now.
///
/// Keeps kWindow at least, and twice as much at most. One thread at a time.
namespace tessera::device::sharing {

class PeakCharges {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kWindow{3};
  /// Between two looks; what was charged for less may be missed.
  static constexpr std::chrono::milliseconds kLook{5};

  /// Looks at the slots below `slots`, unless it has just done so.
  void look(const guard::Accounts& accounts, unsigned slots, Time now);
  std::uint64_t of(unsigned row, unsigned slot) const;

 private:
  using Peaks = std::map<std::pair<unsigned, unsigned>, std::uint64_t>;  ///< by row and slot

  std::array<Peaks, 2> peaks_;  ///< of this window, of the one before
  Time begun_{}, looked_{};
};

}  // namespace tessera::device::sharing
