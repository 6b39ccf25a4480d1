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
  void operator()(const RestartAnnounced& event);
  void operator()(const RestartPlaced& event);
  void operator()(const RestartLeft& event);
  void operator()(const PlanTurnedBack& event);

  /// A slice was verified free.
  void freed(GpuIndex gpu, std::uint64_t generation, LeaseId holder);
  /// The lease is over; nothing more is moved for it, unless it is the plan that stopped it.
  void ending(request::Lease& lease, const LeaseEnding& event);
  void activated(LeaseId lease);
  /// The request was granted something, or withdrawn.
  void waits_no_more(RequestId request);

 private:
  Plan& plan(PlanId id);
  /// The plan that is being applied; null if none is.
  Plan* applying();
  /// Keeps what leases are charged in step with what the plan owes.
  void account();
  static void skip_waiting(Plan& plan);
  /// It went on; where holders were told of a later moment, patience begins there.
  void progress(Plan& plan);
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
