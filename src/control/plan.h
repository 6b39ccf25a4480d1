#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/reason.h"
#include "base/time.h"
#include "catalog/layout.h"
#include "control/forecast.h"
#include "fleet/slice.h"
#include "request/request.h"

/// A plan for this very fleet: which GPU gets which layout, which lease moves where, in which
/// order, and which waiting requests get a place for it.
///
/// planning/ decides for GPUs in the same state and knows no leases; here each of its moves names
/// one lease and two GPUs. A plan is an object of the control plane: stored when it was computed,
/// applied or withdrawn by an operator, carried on by whatever agents report.
///
///   kProposed --apply--> kApplying --all moves done--> kDone
///       |  \-apply in a-> kScheduled --it opens--> kApplying
///       |    window          |                         |  \--a device, node or operator is in
///       |                    |                         |     the way--> kStopped
///       +------- abort ------+--abort, or it closes----+--> kAborted
///
/// 1. At most one plan is being applied.
/// 2. While it is, its GPUs take no new slices, each until its last move is done.
/// 3. A move is make before break: the lease's new slice is prepared while the old one is in use,
///    then the lease changes over in one event, and the old slice is scrubbed like any other.
/// 4. A scheduled plan holds nothing back. When its window opens, the parts of it that no longer
/// hold
///    are left out: GPUs whose leases are others by then, and all GPUs that moves connect with
///    them. When its window closes, moves that are under way are finished, and no more begin.
/// 5. A plan that stops leaves every lease with a slice that works: what was being prepared is
///    taken down, what has moved stays where it is.
/// 6. Where there is no room to make before break, a lease is restarted, if whoever applied the
/// plan
///    agreed to that: its holder is told, after the tier's notice the lease ends, and its request
///    is granted anew in the place that the plan has for it. Until then its team stays charged, so
///    that nobody takes its quota. A plan that stops in between first turns back: it gives what it
///    has stopped the planned place or the old one, and where neither can be, leaves it to the
///    queue.
namespace tessera::control {

using base::Instant;
using base::Reason;
using fleet::GpuIndex;
using fleet::LeaseId;
using request::RequestId;
using PlanId = base::Serial<struct PlanTag>;

/// The order is that of the journal.
enum class PlanState : std::uint8_t {
  kProposed,
  kApplying,
  kDone,
  kStopped,
  kAborted,
  kScheduled,
};
std::string_view to_string(PlanState state);
inline bool ended(PlanState state) {
  return state == PlanState::kDone || state == PlanState::kStopped || state == PlanState::kAborted;
}

///   kWaiting -> kPreparing -> kSwitched (the old slice is scrubbed) -> kDone
///       \            \-> kGivenUp (the new slice could not be made, or was no longer wanted)
///        \-> kSkipped (the lease ended first)
enum class MovePhase : std::uint8_t {
  kWaiting,
  kPreparing,
  kSwitched,
  kDone,
  kSkipped,
  kGivenUp,
};
std::string_view to_string(MovePhase phase);
inline bool unfinished(MovePhase phase) {
  return phase <= MovePhase::kSwitched;
}

/// One GPU that the plan rests on.
struct PlannedGpu {
  GpuIndex gpu;
  catalog::Layout before = 0;
  catalog::Layout leased = 0;       ///< of `before`: what was held
  catalog::Layout after = 0;        ///< what nobody holds of it is only made when it is granted
  std::vector<std::uint64_t> held;  ///< generations that were held when the plan was made, rising
  static void fields(auto& self, auto&& visit) {
    visit("gpu", self.gpu);
    visit("before", self.before);
    visit("leased", self.leased);
    visit("after", self.after);
    visit("held", self.held);
  }
};

/// One place for an instance.
struct Seat {
  GpuIndex gpu;
  catalog::InstanceIndex instance = 0;
  friend auto operator<=>(const Seat&, const Seat&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("gpu", self.gpu);
    visit("instance", self.instance);
  }
};

/// The order is that of the journal.
enum class MoveKind : std::uint8_t {
  kMove,   ///< make before break
  kStop,   ///< the lease ends, and its request waits for the kStart behind it; `to` is `from`
  kStart,  ///< that request is granted `to`; `from` is where it was stopped
};
std::string_view to_string(MoveKind kind);

/// One lease goes from one instance to another of the same profile in the same pool. A lease that
/// is parked for a while has several.
///
/// A kStop goes kWaiting -> kSwitched (the lease is over) -> kDone (its slice is clean). A kStart
/// goes kWaiting -> kPreparing (granted) -> kDone (active), or kGivenUp where the new slice could
/// not be made; it is kSkipped when the request no longer waits, or waits like any other.
struct PlannedMove {
  LeaseId lease;
  GpuIndex from;
  catalog::InstanceIndex from_instance = 0;
  GpuIndex to;
  catalog::InstanceIndex to_instance = 0;
  MovePhase phase = MovePhase::kWaiting;
  std::uint64_t old_generation = 0;  ///< of the slice it leaves, once it has begun
  MoveKind kind = MoveKind::kMove;
  RequestId request;     ///< of a lease that is restarted
  LeaseId anew;          ///< of a kStart: what was granted for it
  Instant not_before{};  ///< of a kStop: its holder was told so; epoch: not told yet
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("from", self.from);
    visit("fromInstance", self.from_instance);
    visit("to", self.to);
    visit("toInstance", self.to_instance);
    visit("phase", self.phase);
    visit("oldGeneration", self.old_generation);
    visit("kind", self.kind);
    visit("request", self.request);
    visit("anew", self.anew);
    visit("notBefore", self.not_before);
  }
  bool touches(GpuIndex gpu) const { return from == gpu || to == gpu; }
};

/// A waiting request that gets this place, or these on one node, once the moves of the GPUs are
/// done, if it still waits.
struct PlannedGrant {
  RequestId request;
  GpuIndex gpu;
  catalog::InstanceIndex instance = 0;
  std::vector<Seat> more;  ///< of a request for several slices, all but the first

  std::vector<Seat> seats() const;
  static void fields(auto& self, auto&& visit) {
    visit("request", self.request);
    visit("gpu", self.gpu);
    visit("instance", self.instance);
    visit("more", self.more);
  }
};

/// One line of what was asked for, and how much of it the plan serves.
struct PlannedDemand {
  std::string text;
  std::int64_t count = 0;
  std::int64_t served = 0;
  static void fields(auto& self, auto&& visit) {
    visit("text", self.text);
    visit("count", self.count);
    visit("served", self.served);
  }
};

/// What a plan achieves and what is proven about it; values and weights in millionths.
struct PlanFigures {
  std::int64_t served = 0, served_bound = 0;
  std::int64_t moved = 0, moved_bound = 0;
  std::int64_t changed = 0, changed_bound = 0;
  bool proven = false;
  std::int64_t forced_restarts = 0;  ///< leases that can only be stopped and started again
  std::int64_t peak_extra = 0;       ///< leases parked at the same moment
  base::Duration solving{};
  static void fields(auto& self, auto&& visit) {
    visit("served", self.served);
    visit("servedBound", self.served_bound);
    visit("moved", self.moved);
    visit("movedBound", self.moved_bound);
    visit("changed", self.changed);
    visit("changedBound", self.changed_bound);
    visit("proven", self.proven);
    visit("forcedRestarts", self.forced_restarts);
    visit("peakExtra", self.peak_extra);
    visit("solving", self.solving);
  }
};

struct Plan {
  PlanId id;
  std::string author;
  Instant made{};
  std::uint64_t revision = 0;  ///< of the state it was computed from
  PlanState state = PlanState::kProposed;
  std::optional<Reason> reason;    ///< why it stopped
  std::string message;             ///< the same for people
  Instant started{};               ///< epoch until applied
  Instant progressed{};            ///< when a move last went on, or may at the earliest
  Instant ended{};                 ///< epoch until ended
  std::uint32_t max_parallel = 0;  ///< moves at the same moment; 0: any number
  PlanFigures figures;
  std::vector<PlannedGpu> gpus;    ///< by rising index
  std::vector<PlannedMove> moves;  ///< in order
  std::vector<PlannedGrant> grants;
  std::vector<PlannedDemand> demands;
  std::vector<std::string> notes;    ///< what could not be planned for, for people
  std::optional<Forecast> forecast;  ///< what was expected, if that was asked for
  Instant opens{};                   ///< its window; epoch where it has none
  Instant closes{};
  bool cut_short = false;          ///< the window closed before all moves had begun
  bool may_restart = false;        ///< whoever applied it agreed to its restarts
  std::optional<PlanState> turns;  ///< it turns back, and will end as this

  static void fields(auto& self, auto&& visit) {
    visit("id", self.id);
    visit("author", self.author);
    visit("made", self.made);
    visit("revision", self.revision);
    visit("state", self.state);
    visit("reason", self.reason);
    visit("message", self.message);
    visit("started", self.started);
    visit("progressed", self.progressed);
    visit("ended", self.ended);
    visit("maxParallel", self.max_parallel);
    visit("figures", self.figures);
    visit("gpus", self.gpus);
    visit("moves", self.moves);
    visit("grants", self.grants);
    visit("demands", self.demands);
    visit("notes", self.notes);
    visit("forecast", self.forecast);
    visit("opens", self.opens);
    visit("closes", self.closes);
    visit("cutShort", self.cut_short);
    visit("mayRestart", self.may_restart);
    visit("turns", self.turns);
  }
};

/// Has the plan stopped a lease whose request it has not seen active in another slice?
bool owes_restart(const Plan& plan);
/// Is it a kStart whose request waits to be granted what the plan has for it?
bool homeless(const Plan& plan, const PlannedMove& move);
/// The lease of a homeless kStart that ended last.
inline LeaseId ended_last(const PlannedMove& start) {
  return start.phase == MovePhase::kGivenUp ? start.anew : start.lease;
}
/// The leases whose teams stay charged although they are over: their requests wait for the plan's
/// place.
std::vector<LeaseId> owed_by(const Plan& plan);
/// The kStop of a kStart.
const PlannedMove& stop_of(const Plan& plan, const PlannedMove& start);
/// When a lease may be stopped, where only its notice is in the way; never, where none is.
Instant next_stop(const Plan& plan);

/// When the window closes on moves that have not begun; never, where that cannot happen any more.
Instant cut_short_at(const Plan& plan);

/// How long a plan may stand still before it is stopped.
inline constexpr base::Duration kPlanPatience = std::chrono::minutes(30);
/// Plans that may be scheduled at the same time.
inline constexpr std::size_t kPlansScheduled = 8;
/// Plans kept in memory; the journal keeps them for ever.
inline constexpr std::size_t kPlansKept = 16;

}  // namespace tessera::control
