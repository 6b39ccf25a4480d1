#pragma once

#include "base/random.h"
#include "control/state.h"
#include "simulation/auditor.h"
#include "simulation/faults.h"

namespace tessera::simulation {

/// The programs that teams run on what they hold. They start when a lease becomes active, some end
/// by themselves, and some refuse to die when their lease is over.
class Tenants {
 public:
  Tenants(const Nodes& nodes, base::Random& random, FaultCounts& faults)
      : nodes_(nodes), random_(random), faults_(faults) {}

  /// Starts programs for the leases that a step made active.
  void note(const control::State& state, const control::Record& record);
  /// Time passes: programs end, and those that a reboot took come again.
  void tend(const control::State& state);
  /// From now on everyone leaves when asked.
  void calm() { calm_ = true; }

 private:
  void move_in(const control::State& state, const request::Lease& lease);

  const Nodes& nodes_;
  base::Random& random_;
  FaultCounts& faults_;
  bool calm_ = false;
};

}  // namespace tessera::simulation
