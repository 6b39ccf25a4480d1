#pragma once

#include <cstdint>
#include <vector>

#include "guard/region.h"

/// Whose turn it is on one GPU that several tenants share: deficit fair queueing of GPU time.
///
/// A turn begins when the tenant's gate opens and ends when what it had in flight after the gate
/// closed is done, and all of that time is charged to it. Next is who has been charged least for
/// its weight. So kernels that are longer than a turn cost the tenant that launched them, later.
///
///         least charged of those that want it            kQuantum is over, others want it
///   none -------------------------------------> turn ------------------------------------>
///   draining
///    ^ ^                                         |   and it is no longer the least charged     |
///    | +--- nothing in flight for kIdle ---------+                                             |
///    +----------- nothing in flight, or kLongestDrain is over ---------------------------------+
///
/// While one tenant at most wants the GPU nobody has a turn, no gate is closed and nothing is
/// charged. Who comes back from being idle is charged at least what the others are, less one
/// quantum: time that was not used is not saved up.
///
/// The latency-critical come before all others: while one of them works, or has just done, the
/// others' gates are closed. Their own gates never are.
///
/// Only computes: told the time, it answers with the gates. One thread.
namespace tessera::device::sharing {

struct Terms {
  std::uint32_t weight = 100;  ///< at least 1
  bool critical = false;
  friend bool operator==(const Terms&, const Terms&) = default;
};

/// What a tenant is seen to do on the GPU.
struct Seen {
  bool present = false;    ///< has a program that lives, and may launch at any time
  bool active = false;     ///< has launched since the last look, or waits at its gate
  bool in_flight = false;  ///< has launched what is not known to be done
};

class Turns {
 public:
  using Nanoseconds = std::uint64_t;
  static constexpr Nanoseconds kQuantum = 4'000'000;
  static constexpr Nanoseconds kIdle = 200'000;
  static constexpr Nanoseconds kLongestDrain = 200'000'000;

  /// The tenants are known by their places here from now on.
  explicit Turns(std::vector<Terms> terms);

  /// The gates from `now` on, by tenant. `now` never goes back; `seen` has one entry per tenant.
  const std::vector<guard::Gate>& step(Nanoseconds now, const std::vector<Seen>& seen);

 private:
  static constexpr int kNobody = -1;

  struct Tenant {
    Terms terms;
    Seen seen;
    bool wants = false;
    Nanoseconds last_busy = 0;
    double charged = 0;  ///< nanoseconds for each unit of weight
  };

  void look(Nanoseconds now, const std::vector<Seen>& seen);
  void return_from_idleness(Tenant& tenant);
  bool critical_wants() const;
  int least_charged() const;
  unsigned best_effort_wanting() const;
  void charge_holder(Nanoseconds until);
  void end_turn(Nanoseconds until);
  void go_on(Nanoseconds now);
  void begin_turn(Nanoseconds now);
  void set_gates();

  std::vector<Tenant> tenants_;
  std::vector<guard::Gate> gates_;
  int holder_ = kNobody;
  bool draining_ = false;
  Nanoseconds charged_until_ = 0;  ///< of the holder's turn
  Nanoseconds quantum_begun_ = 0, closed_at_ = 0;
};

}  // namespace tessera::device::sharing
