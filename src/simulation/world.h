#pragma once

#include <memory>
#include <set>
#include <string>

#include "base/random.h"
#include "service/node_watch.h"
#include "simulation/auditor.h"
#include "simulation/control_plane.h"
#include "simulation/fleet_plan.h"
#include "simulation/hooks.h"
#include "simulation/network.h"
#include "simulation/planner.h"
#include "simulation/tenants.h"
#include "simulation/trouble.h"
#include "simulation/workload.h"

namespace tessera::simulation {

struct WorldOptions {
  Duration storm = std::chrono::hours(2);  ///< arrivals and faults
  Duration quiet = std::chrono::hours(2);  ///< at most, until all has settled
};

/// A whole fleet under a virtual clock, in one thread: the production control plane with its
/// journal, a production agent on each simulated machine, a bad network between them, people who
/// want something, and trouble.
///
/// First everything happens at once and nothing may break (safety); then arrivals and faults stop,
/// and within a bound everything must come to rest as it should be (liveness).
///
/// A function of its seed: the same one gives the same journal, byte for byte. Not movable: its
/// parts know each other.
class World {
 public:
  explicit World(std::uint64_t seed, Hooks hooks = {}, WorldOptions options = {});
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// Throws Violation, or base::CheckFailed from the system under test, at the first broken
  /// promise.
  void run();

  Duration simulated() const { return agenda_.now() - begin_; }
  std::uint64_t granted() const { return auditor_.granted(); }
  std::uint64_t moved() const { return auditor_.moved(); }
  std::uint64_t restarted() const { return auditor_.restarted(); }
  const FaultCounts& faults() const { return faults_; }
  std::string journal_bytes() const { return control_.journal().log(); }

 private:
  void storm();
  void settle();
  bool settled();
  void wake(Node& node);
  void tick_agent(Node& node, std::uint64_t session, std::uint64_t ticket);
  void hear(fleet::NodeReport report, std::uint64_t session);
  void tell(const std::string& node);
  void note(const control::State& state, const control::Record& record);
  void arm_timer();
  void time_passes();
  void watch_nodes();
  void tend();
  void control_started();

  Hooks hooks_;
  WorldOptions options_;
  base::SeededRandom random_;
  std::shared_ptr<const catalog::Catalog> catalog_;
  Agenda agenda_;
  Instant begin_;
  FaultCounts faults_;
  FleetPlan plan_;
  Nodes nodes_;
  std::map<std::string, std::uint64_t>
      tickets_;  ///< of each agent's next tick: older ones are void
  Network network_;
  Auditor auditor_;
  ControlPlane control_;
  Tenants tenants_;
  Workload workload_;
  Planner planner_;
  Trouble trouble_;
  service::NodeWatch watch_;
  Instant up_since_;
  Instant timer_{};  ///< when the next Tick is planned
  std::uint64_t timer_ticket_ = 0;
};

}  // namespace tessera::simulation
