#pragma once

#include "base/random.h"
#include "control/plan_draft.h"
#include "simulation/agenda.h"
#include "simulation/control_plane.h"
#include "simulation/faults.h"
#include "simulation/fleet_plan.h"

namespace tessera::simulation {

/// An operator who plans: now and then has layouts computed for what waits and for what might come,
/// or moves leases about for no reason at all; applies the plan some time later (when it may be
/// outdated) or in a window, and sometimes thinks better of it.
class Planner {
 public:
  Planner(Agenda& agenda, ControlPlane& control, const FleetPlan& plan, base::Random& random,
          FaultCounts& faults);

  void start();
  /// No new plans; one that is being applied goes on.
  void calm() { calm_ = true; }

 private:
  void think();
  control::PlanWish random_wish();
  control::Plan random_moves(const control::Draft& draft);
  void put(const control::Plan& plan);
  base::WeekWindow window_soon();
  void apply(control::PlanId plan);
  void abort(control::PlanId plan);

  Agenda& agenda_;
  ControlPlane& control_;
  const FleetPlan& plan_;
  base::Random& random_;
  FaultCounts& faults_;
  bool calm_ = false;
};

}  // namespace tessera::simulation
