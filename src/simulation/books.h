#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "catalog/gpu_model.h"
#include "control/event.h"

namespace tessera::simulation {

/// The auditor's own accounts of the fleet, kept from the events alone and judged without looking
/// at the state: who holds what, what every team and node has given out, who ended a lease and
/// whether they might.
///
/// Throws Violation on the first event that is not allowed to follow what went before.
class Books {
 public:
  explicit Books(const catalog::Catalog& catalog) : catalog_(catalog) {}

  void note(const control::Record& record);

  std::uint64_t granted() const { return granted_; }
  std::uint64_t moved() const { return moved_; }
  std::uint64_t restarted() const { return restarted_; }
  /// A lease whose time was up before `before` and that nobody ended; empty if there is none.
  std::string overdue(base::Instant before) const;

 private:
  friend class Entry;

  enum class Phase : std::uint8_t { kPreparing, kReady, kEnding, kFailed };
  struct Held {
    fleet::SliceShape shape;
    request::LeaseId lease;
    Phase phase = Phase::kPreparing;
  };
  struct GpuPage {
    std::size_t node = 0;
    bool healthy = true;
    bool changing = false;  ///< a plan is at work here
    std::uint64_t last_generation = 0;
    std::map<std::uint64_t, Held> held;
  };
  struct NodePage {
    std::string name;
    std::string pool;
    std::size_t gpus = 0;
    base::MilliCpu cpu, cpu_used;
    base::MiB memory, memory_used;
    bool ready = false;
    bool cordoned = false;
  };
  struct RequestPage {
    std::string team;
    request::Need need;
    request::RequestState state{};
    request::LeaseId lease;
  };
  struct LeasePage {
    request::Lease lease;
    bool ending = false;
    bool ended = false;
    base::Instant activated{};
    std::optional<base::Instant> stop_not_before;  ///< its holder was told so
    std::optional<request::LeasedSlice> arriving;  ///< being prepared for it elsewhere
    std::vector<request::LeasedSlice> leaving;     ///< given up, not yet verified free
  };
  struct PlanPage {
    control::Plan plan;
    bool applying = false;
    bool may_restart = false;
  };

  const catalog::Catalog& catalog_;
  std::map<std::string, tenancy::Tier> tiers_;
  std::map<std::string, tenancy::Team> teams_;
  std::vector<fleet::Pool> pools_;
  std::vector<NodePage> nodes_;
  std::vector<GpuPage> gpus_;
  std::map<std::string, std::uint64_t> retired_;  ///< last generation of a deleted node, by name
  std::map<request::RequestId, RequestPage> requests_;
  std::map<request::LeaseId, LeasePage> leases_;
  std::map<std::pair<std::string, std::string>, fleet::Cost> use_;  ///< by (team, pool)
  std::set<std::pair<std::string, std::string>> keys_;  ///< (client, idempotency key) seen
  std::map<control::PlanId, PlanPage> plans_;
  std::uint64_t granted_ = 0;
  std::uint64_t moved_ = 0;      ///< leases that changed over
  std::uint64_t restarted_ = 0;  ///< leases that a plan stopped
};

}  // namespace tessera::simulation
