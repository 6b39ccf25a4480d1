#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/serial_table.h"
#include "base/sorted_set.h"
#include "catalog/gpu_model.h"
#include "control/event.h"
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

/// The whole state of the control plane. Changed only by apply(); everyone else reads.
/// Not thread-safe: its owner (service::Engine, simulation::World) guards it.
///
/// Stored (in snapshots, in the digest): everything visited by `fields`. Derived, rebuilt after a
/// snapshot is read: the placement index, quota use, the queue, the timers. Remembered, and no part
/// of what it says: the rankings.
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
  const fleet::Fleet& fleet() const { return fleet_; }
  const placement::Index& index() const { return index_; }
  /// What was asked for lately.
  const placement::Demand& demand() const { return demand_; }
  /// What placing remembers from one decision to the next. Only for whoever may change the state.
  placement::NodeRankings& rankings() { return rankings_; }

  const std::map<std::string, tenancy::Tier, std::less<>>& tiers() const { return tiers_; }
  const std::map<std::string, tenancy::Team, std::less<>>& teams() const { return teams_; }
  const std::map<std::string, tenancy::Token, std::less<>>& tokens() const { return tokens_; }
  const base::SerialTable<RequestId, request::Request>& requests() const { return requests_; }
  const base::SerialTable<LeaseId, request::Lease>& leases() const { return leases_; }

  const request::Request* find(RequestId id) const;
  const request::Lease* find(LeaseId id) const;
  const tenancy::Tier* find_tier(std::string_view name) const;
  const tenancy::Team* find_team(std::string_view name) const;
  const tenancy::Token* find_token_by_digest(std::string_view digest) const;
  /// The request that `actor`'s key already made, if any.
  const request::Request* find_by_key(std::string_view actor, std::string_view key) const;

  RequestId next_request() const { return next_request_; }
  LeaseId next_lease() const { return next_lease_; }
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
  /// When the next notice, expiry or clean-up is due.
  std::optional<Instant> next_due() const;
  /// Leases with a notice or an expiry due at `now`, and ended requests that may be forgotten;
  /// at most `most` of each, earliest first.
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
  }
  /// Rebuilds all that is derived, after a snapshot was read into `fields`.
  void rebuild();

 private:
  friend class Applier;

  /// Files a request in the queue and the timers, or takes it out of them.
  void file(const request::Request& request);
  void unfile(const request::Request& request);
  /// The same for its Idempotency-Key, which never changes.
  void file_key(const request::Request& request);
  void unfile_key(const request::Request& request);
  /// Where a lease stands in the derived tables.
  struct LeaseFile {
    std::optional<Instant> end;    ///< of what is promised
    std::optional<Instant> timer;  ///< when it needs attention next: its notice, then its end
    bool counted = false;          ///< in what its team and tier hold
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

  placement::Index index_;
  placement::NodeRankings rankings_;
  placement::UseByPool no_use_;
  std::map<std::string, placement::UseByPool, std::less<>> use_;
  std::map<std::string, placement::TierUse, std::less<>> use_by_tier_;
  WaitingLines waiting_;
  base::SortedSet<std::pair<Instant, LeaseId>> lease_ends_;
  base::SortedSet<std::pair<Instant, LeaseId>> lease_timers_;
  base::SortedSet<std::pair<Instant, RequestId>> request_timers_;
  std::map<std::string, std::string, std::less<>> token_by_digest_;
  std::map<std::pair<std::string, std::string>, RequestId> request_by_key_;
};

}  // namespace tessera::control
