#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/random.h"
#include "base/result.h"
#include "control/state.h"
#include "simulation/agenda.h"
#include "simulation/auditor.h"
#include "simulation/control_plane.h"
#include "simulation/faults.h"
#include "simulation/fleet_plan.h"

namespace tessera::simulation {

/// The people: teams that ask, renew, release and cancel; an operator who approves, cordons and
/// changes documents. They try again when they get no answer, with the same idempotency key.
class Workload {
 public:
  Workload(Agenda& agenda, ControlPlane& control, Auditor& auditor, const FleetPlan& plan,
           base::Random& random, FaultCounts& faults);

  void start();
  /// No new requests; approvals go on, and cordons are lifted.
  void calm();

 private:
  struct Ask {
    std::string team;
    std::string key;
    request::Need need;
  };

  void arrive();
  void submit(const Ask& ask, int tries);
  void follow_up(request::RequestId id);
  void act_on(request::RequestId id);
  void approve_some();
  void administrate();
  void withdraw(fleet::Pool pool);
  request::Need random_need();
  /// Tries a command of one actor until it is answered, a few times.
  void insist(control::Command command, const tenancy::Actor& actor, int tries = 20);

  Agenda& agenda_;
  ControlPlane& control_;
  Auditor& auditor_;
  const FleetPlan& plan_;
  base::Random& random_;
  FaultCounts& faults_;
  std::uint64_t next_key_ = 1;
  bool calm_ = false;
};

}  // namespace tessera::simulation
