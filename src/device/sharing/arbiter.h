#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "device/sharing/tenant_pages.h"
#include "device/sharing/turns.h"

/// Moves the gates of one GPU: looks at what its tenants' programs have launched and finished, asks
/// `Turns` whose turn it is, and sets every tenant's gate.
///
/// Does not own the pages. One thread calls step(), every kLook while tenants contend, more seldom
/// otherwise; `next_look()` says when.
namespace tessera::device::sharing {

/// A tenant of this GPU, and which slot the GPU is in its pages.
struct Sharer {
  TenantPages* pages = nullptr;
  unsigned slot = 0;
  Terms terms;
};

class Arbiter {
 public:
  using Nanoseconds = Turns::Nanoseconds;
  static constexpr Nanoseconds kLook = 200'000;
  static constexpr Nanoseconds kSeldomLook = 5'000'000;

  explicit Arbiter(std::vector<Sharer> sharers);

  /// `now` is CLOCK_MONOTONIC, which the programs write as well.
  void step(Nanoseconds now);
  /// How long until the next look is due.
  Nanoseconds next_look() const { return contended_ ? kLook : kSeldomLook; }

 private:
  Seen look_at(std::size_t sharer, Nanoseconds now);

  std::vector<Sharer> sharers_;
  std::vector<std::uint64_t> issued_;  ///< by sharer, at the last look
  std::vector<Seen> seen_;
  Turns turns_;
  bool contended_ = false;
};

}  // namespace tessera::device::sharing
