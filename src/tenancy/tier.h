#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "fleet/slice.h"

namespace tessera::tenancy {

using base::Duration;
using base::MiB;
using base::MicroMoney;

/// A request no larger than this needs nobody's approval.
struct AutoApproval {
  base::GpuFraction share;  ///< of GPUs, compute or memory, whichever is more
  Duration duration{};
  friend bool operator==(const AutoApproval&, const AutoApproval&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("share", self.share);
    visit("duration", self.duration);
  }
};

/// A promise: what isolation a tenant gets, by which techniques, at what price.
struct Tier {
  std::string name;
  std::string description;
  catalog::Isolation isolation = catalog::Isolation::kShared;  ///< the least it ever gives
  std::vector<catalog::Technology> technologies;               ///< in order of preference
  int oversubscription = 1;  ///< times a GPU's compute is handed out by time-slicing; 1 … 64
  int max_tenants = 8;       ///< on one time-sliced GPU; 1 … 64
  MiB slot;                  ///< the size in which its capacity is quoted
  MicroMoney price;          ///< of one whole GPU for one hour
  Duration default_duration{};
  Duration max_duration{};
  Duration notice{};  ///< before a lease ends, how long its holder is warned
  std::optional<AutoApproval> auto_approval;  ///< absent: everything is approved at once
  std::vector<std::string> teams;             ///< who may use it; empty: all
  /// A plan may move its leases to other devices, which restarts what runs there.
  bool movable = false;
  Duration min_runtime{};  ///< for so long after it became active, not even a plan moves a lease
  /// On a GPU that it shares by guarded time-slicing its leases come before those of other tiers.
  bool latency_critical = false;

  /// What a slice of `technology` is protected from in this tier; absent where the technology
  /// would break the tier's promise or is not among its technologies.
  std::optional<catalog::Isolation> isolation_with(catalog::Technology technology) const;
  /// A share that carries this tier's promises.
  fleet::ShareSlice share_of(MiB memory, base::MilliShare compute) const;
  bool admits(std::string_view team) const;
  /// oversubscription where it applies to `technology`, else 1.
  int oversubscription_of(catalog::Technology technology) const;

  friend bool operator==(const Tier&, const Tier&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("name", self.name);
    visit("description", self.description);
    visit("isolation", self.isolation);
    visit("technologies", self.technologies);
    visit("oversubscription", self.oversubscription);
    visit("maxTenants", self.max_tenants);
    visit("slot", self.slot);
    visit("price", self.price);
    visit("defaultDuration", self.default_duration);
    visit("maxDuration", self.max_duration);
    visit("notice", self.notice);
    visit("autoApproval", self.auto_approval);
    visit("teams", self.teams);
    visit("movable", self.movable);
    visit("minRuntime", self.min_runtime);
    visit("latencyCritical", self.latency_critical);
  }
};

/// The three tiers a fleet has when its documents define none: production (MIG), staging (vGPU
/// or MIG) and development (guarded time-slicing, four times oversubscribed).
std::vector<Tier> default_tiers();

/// Rising order of promise, then price, then name: the first that satisfies a need is the least.
bool lesser(const Tier& a, const Tier& b);

}  // namespace tessera::tenancy
