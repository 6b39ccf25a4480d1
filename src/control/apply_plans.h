#pragma once

#include "control/apply_slices.h"
#include "control/state.h"

namespace tessera::control {

/// What the events of plans do to the state, and what those of leases mean for the plan that is
/// being applied. Borrows the state for the time of one event.
class PlanChanges {
 public:
  PlanChanges(State& state, Instant at) : s_(state), at_(at), slices_(state) {}

  void operator()(const PlanPut& event);
  void operator()(const PlanStarted& event);
  void operator()(const PlanAdvanced& event);
  void operator()(const PlanEnded& event);
  void operator()(const PlanScheduled& event);
  void operator()(const PlanCutShort& event);
  void operator()(const LeaseMoving& event);
  void operator()(const LeaseMoved& event);
  void operator()(const LeaseStays& event);

  /// A slice was verified free.
  void freed(GpuIndex gpu, std::uint64_t generation, LeaseId holder);
  /// The lease is over; nothing more is moved for it.
  void ending(request::Lease& lease);

 private:
  Plan& plan(PlanId id);
  /// The plan that is being applied; null if none is.
  Plan* applying();
  /// The move that is being prepared for a lease (CHECK).
  PlannedMove& preparing(LeaseId lease);
  void mark(GpuIndex gpu, bool changing);
  /// What was arriving will never be used.
  void give_up(request::Lease& lease);

  State& s_;
  Instant at_;
  SliceChanges slices_;
};

}  // namespace tessera::control
