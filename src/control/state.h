#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/serial_table.h"
#include "base/sorted_set.h"
#include "catalog/gpu_model.h"
#include "control/demand_history.h"
#include "control/event.h"
#include "control/plan.h"
#include "control/report_order.h"
#include "control/waiting.h"
#include "fleet/fleet.h"
#include "placement/capacity.h"
#include "placement/index.h"
#include "placement/place.h"
#include "request/request.h"
#include "tenancy/role.h"
#include "tenancy/team.h"
#include "tenancy/tier.h"

namespace tessera::control {

/// How long an ended request stays in memory; the journal keeps it for ever.
inline constexpr base::Duration kRequestMemory = std::chrono::days(7);

/// One process's time over the journal, from its first record to its last.
struct Incarnation {
  std::uint64_t number = 0;
  Instant since{};
  std::uint64_t last_revision = 0;
  static void fields(auto& self, auto&& visit) {
    visit("number", self.number);
    visit("since", self.since);
    visit("lastRevision", self.last_revision);
  }
};
/// How many are kept. A node that has heard from none of these is treated as a stranger to this
/// history, which does no harm.
inline constexpr std::size_t kIncarnationsKept = 1000;

/// The whole state of the control plane. Changed only by apply(); everyone else reads.
/// Not thread-safe: its owner (service::Engine, simulation::World) guards it.
///
/// Stored (in snapshots, in the digest): everything visited by `fields`. Derived, rebuilt after a
/// snapshot is read: the placement index, quota use, the queue, the timers. Remembered, and no part
/// of what it says: the rankings, and which report of each node was the last.
class State {
 public:
  explicit State(std::shared_ptr<const catalog::Catalog> catalog);
  State(State&&) = default;
  State& operator=(State&&) = default;
  /// A second state equal to this one. Costs as much as the state is large.
  State clone() const;

  const catalog::Catalog& catalog() const { return *catalog_; }
  std::shared_ptr<const catalog::Catalog> shared_catalog() const { return catalog_; }
  std::uint64_t revision() const { return revision_; }
  /// When the last record was made. What happens next happens no earlier, whatever the clock says.
  Instant last_change() const { return last_change_; }
  /// With the revision, the moment of history that this state is.
  fleet::Moment moment() const { return {incarnation(), revision_}; }
  std::uint64_t incarnation() const {
    return incarnations_.empty() ? 0 : incarnations_.back().number;
  }
  /// What the next record carries.
  std::uint64_t next_incarnation() const { return std::max(writes_as_, incarnation()); }
  /// Call when a process takes the journal over: its records get a number that no record before
  /// them has, neither here nor (as long as clocks go forward) in a future that a restored backup
  /// knows nothing of.
  void begin_incarnation(Instant clock);
  /// Is `moment` none of this history's, but of one that a restored backup has lost? Then what was
  /// decided here at or after the answer may be unlike what was decided there.
  std::optional<Instant> parted_from(const fleet::Moment& moment) const;
  const fleet::Fleet& fleet() const { return fleet_; }
  const placement::Index& index() const { return index_; }
  /// What was asked for lately.
  const placement::Demand& demand() const { return demand_; }
  /// What was asked for in the last weeks, hour by hour.
  const DemandHistory& history() const { return history_; }
  /// What placing remembers from one decision to the next. Only for whoever may change the state.
  placement::NodeRankings& rankings() { return rankings_; }
  const ReportOrder& report_order() const { return report_order_; }
  /// The same, for whoever steps the state.
  ReportOrder& report_order() { return report_order_; }

  const std::map<std::string, tenancy::Tier, std::less<>>& tiers() const { return tiers_; }
  const std::map<std::string, tenancy::Team, std::less<>>& teams() const { return teams_; }
  const std::map<std::string, tenancy::Token, std::less<>>& tokens() const { return tokens_; }
  const base::SerialTable<RequestId, request::Request>& requests() const { return requests_; }
  const base::SerialTable<LeaseId, request::Lease>& leases() const { return leases_; }

  /// The last plans, by number.
  const std::map<PlanId, Plan>& plans() const { return plans_; }
  /// The plan that is being applied; null if none is.
  const Plan* applying() const { return find(applying_); }

  const request::Request* find(RequestId id) const;
  const request::Lease* find(LeaseId id) const;
  const Plan* find(PlanId id) const;
  const tenancy::Tier* find_tier(std::string_view name) const;
  const tenancy::Team* find_team(std::string_view name) const;
  const tenancy::Token* find_token_by_digest(std::string_view digest) const;
  /// The request that `actor`'s key already made, if any.
  const request::Request* find_by_key(std::string_view actor, std::string_view key) const;

  RequestId next_request() const { return next_request_; }
  LeaseId next_lease() const { return next_lease_; }
  PlanId next_plan() const { return next_plan_; }
  /// What a team holds in a pool now, slices being scrubbed included.
  fleet::Cost usage(std::string_view team, fleet::PoolIndex pool) const;
  /// What is held per tier.
  const std::map<std::string, placement::TierUse, std::less<>>& use_by_tier() const {
    return use_by_tier_;
  }
  /// What a team holds per pool.
  const placement::UseByPool& use_by(std::string_view team) const;
  const WaitingLines& waiting() const { return waiting_; }
  /// The last batch of a node's stream of use that is counted; 0: none.
  std::uint64_t use_counted(std::string_view node, std::string_view stream) const;
  /// Is the lease over, and still charged until the plan has placed its request?
  bool owes(LeaseId id) const { return owed_.contains(id); }
  /// How many requests of a team wait, for room or for approval.
  int waiting_of(std::string_view team) const;
  /// When the next notice, expiry or clean-up is due.
  std::optional<Instant> next_due() const;
  /// Leases with an expiry due at `now`, then those with a notice; and ended requests that may be
  /// forgotten. At most `most` of each, earliest first.
  std::vector<LeaseId> due_leases(Instant now, std::size_t most) const;
  std::vector<RequestId> due_requests(Instant now, std::size_t most) const;
  /// When the leases that hold slices end, soonest first.
  const base::SortedSet<std::pair<Instant, LeaseId>>& lease_ends() const { return lease_ends_; }

  /// Applies one step's events. The record's revision must be revision() + 1.
  void apply(const Record& record);
  /// Applies one event inside a step that is being decided.
  void apply(const Event& event, Instant at);
  /// Ends a step that was applied event by event.
  void commit(const Record& record);

  static void fields(auto& self, auto&& visit) {
    visit("revision", self.revision_);
    visit("lastChange", self.last_change_);
    visit("nextRequest", self.next_request_);
    visit("nextLease", self.next_lease_);
    visit("tiers", self.tiers_);
    visit("teams", self.teams_);
    visit("tokens", self.tokens_);
    visit("fleet", self.fleet_);
    visit("requests", self.requests_);
    visit("leases", self.leases_);
    visit("demand", self.demand_);
    visit("useMarks", self.use_marks_);
    visit("incarnations", self.incarnations_);
    visit("nextPlan", self.next_plan_);
    visit("plans", self.plans_);
    visit("history", self.history_);
  }
  /// Rebuilds all that is derived, after a snapshot was read into `fields`.
  void rebuild();
  /// The first of the derived tables that `other`, whose stored part is equal, has otherwise; empty
  /// if there is none.
  std::string derived_difference(const State& other) const;

 private:
  friend class Applier;
  friend class SliceChanges;
  friend class PlanChanges;

  /// Files a request in the queue and the timers, or takes it out of them.
  void file(const request::Request& request);
  void unfile(const request::Request& request);
  /// The same for its Idempotency-Key, which never changes.
  void file_key(const request::Request& request);
  void unfile_key(const request::Request& request);
  /// Where a lease stands in the derived tables.
  struct LeaseFile {
    std::optional<Instant> end;     ///< of what is promised
    std::optional<Instant> notice;  ///< when its holder is to be told of that
    bool counted = false;           ///< in what its team and tier hold
  };
  LeaseFile file_of(const request::Lease& lease) const;
  /// Moves a lease in the derived tables; an empty file is none at all.
  void refile(const request::Lease& lease, const LeaseFile& before, const LeaseFile& after);

  std::shared_ptr<const catalog::Catalog> catalog_;
  std::uint64_t revision_ = 0;
  Instant last_change_{};
  RequestId next_request_{1};
  LeaseId next_lease_{1};
  std::map<std::string, tenancy::Tier, std::less<>> tiers_;
  std::map<std::string, tenancy::Team, std::less<>> teams_;
  std::map<std::string, tenancy::Token, std::less<>> tokens_;
  fleet::Fleet fleet_;
  base::SerialTable<RequestId, request::Request> requests_;
  base::SerialTable<LeaseId, request::Lease> leases_;
  placement::Demand demand_;
  std::map<std::string, std::vector<fleet::UseMark>, std::less<>> use_marks_;  ///< by node
  std::vector<Incarnation> incarnations_;  ///< by rising number and revision
  PlanId next_plan_{1};
  std::map<PlanId, Plan> plans_;
  DemandHistory history_;  ///< its levels are derived

  std::uint64_t writes_as_ = 0;  ///< of this process, and no part of the state
  PlanId applying_;              ///< none: no plan is being applied
  std::set<LeaseId> owed_;       ///< over, and charged until the plan has placed their requests
  placement::Index index_;
  placement::NodeRankings rankings_;
  ReportOrder report_order_;
  placement::UseByPool no_use_;
  std::map<std::string, placement::UseByPool, std::less<>> use_;
  std::map<std::string, placement::TierUse, std::less<>> use_by_tier_;
  WaitingLines waiting_;
  std::map<std::string, int, std::less<>> waiting_by_team_;
  base::SortedSet<std::pair<Instant, LeaseId>> lease_ends_;
  base::SortedSet<std::pair<Instant, LeaseId>> lease_notices_;
  base::SortedSet<std::pair<Instant, RequestId>> request_timers_;
  std::map<std::string, std::string, std::less<>> token_by_digest_;
  std::map<std::pair<std::string, std::string>, RequestId> request_by_key_;
};

}  // namespace tessera::control
