#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "device/sharing/tenant_pages.h"
#include "device/sharing/turns.h"

/// Moves the gates of the GPUs that some tenants share: looks at what their programs have launched
/// and finished, asks `Turns` whose turn it is, and sets every tenant's gates.
///
/// A tenant that works on several GPUs at once is a gang: what runs on one may wait for what runs
/// on another, as in a collective. It has its turns on all of its GPUs together:
///
///   together_   one turn at a time for each gang, and one for all that are no gangs
///   of_gpu_     when it is the turn of those: whose it is among them, on each GPU; their clock
///               stands still while a gang has its turn
///
/// So nobody holds one GPU while he waits for another, and every turn ends. Where a gang's gates
/// close between two launches of a collective, what is in flight does not end: after kStuck its
/// launches on the other GPUs are let through until it does, for kLongestHelp at most. What is left
/// is cut in two until the gang's next turn.
///
/// Does not own the pages. One thread calls step(), every kLook while tenants contend, more seldom
/// otherwise; `next_look()` says when.
namespace tessera::device::sharing {

/// A tenant, and its GPUs by the slots in its pages, numbered among those of the arbiter.
struct Sharer {
  TenantPages* pages = nullptr;
  std::vector<unsigned> gpus;
  Terms terms;
};

class Arbiter {
 public:
  using Nanoseconds = Turns::Nanoseconds;
  static constexpr Nanoseconds kLook = 200'000;
  static constexpr Nanoseconds kSeldomLook = 5'000'000;
  /// Who worked on two GPUs within this time is a gang.
  static constexpr Nanoseconds kTogether = 1'000'000'000;
  /// What is in flight and has not moved for so long may wait for another GPU.
  static constexpr Nanoseconds kStuck = 1'000'000;
  /// So long after the end of its turn a gang's launches are let through to what is stuck.
  static constexpr Nanoseconds kLongestHelp = 20'000'000;

  /// All GPUs of every sharer are among those of this arbiter.
  explicit Arbiter(std::vector<Sharer> sharers);

  /// `now` is CLOCK_MONOTONIC, which the programs write as well.
  void step(Nanoseconds now);
  /// How long until the next look is due.
  Nanoseconds next_look() const { return contended_ ? kLook : kSeldomLook; }

 private:
  /// What a tenant was seen to do on one of its GPUs.
  struct Sight {
    Seen seen;
    bool waiting = false;
    std::uint64_t issued = 0, retired = 0;
    Nanoseconds last_busy = 0;   ///< 0: never
    Nanoseconds last_moved = 0;  ///< something was launched or done, or nothing was in flight
  };

  void look_at(const Sharer& sharer, unsigned slot, Sight& sight, Nanoseconds now) const;
  bool is_gang(std::size_t sharer, Nanoseconds now) const;
  std::vector<Seen> seen_together() const;
  std::vector<Seen> seen_on(unsigned gpu) const;
  void note_draining(const std::vector<guard::Gate>& together, Nanoseconds now);
  bool may_help_out(std::size_t sharer, unsigned slot, Nanoseconds now) const;
  guard::Gate gate_of(std::size_t sharer, unsigned slot, const std::vector<guard::Gate>& together,
                      Nanoseconds now) const;

  std::vector<Sharer> sharers_;
  std::vector<std::vector<Sight>> sights_;  ///< by sharer and slot
  std::vector<bool> gang_;                  ///< by sharer, at this look
  Turns together_;
  std::vector<Turns> of_gpu_;
  std::vector<std::vector<guard::Gate>> gates_of_gpu_;
  static constexpr std::size_t kNobody = ~std::size_t{0};
  std::size_t last_open_ = kNobody, draining_ = kNobody;  ///< sharers that are gangs
  Nanoseconds drains_since_ = 0;
  Nanoseconds last_step_ = 0, turns_of_gpus_ = 0;
  bool any_gang_ = false, gang_has_turn_ = false;
  bool contended_ = false;
};

}  // namespace tessera::device::sharing
