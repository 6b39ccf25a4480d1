#pragma once

#include <map>
#include <optional>
#include <string>

#include "fleet/slice.h"

namespace tessera::tenancy {

using fleet::Cost;

/// What one team may hold in one pool. Vectors of compute and memory, never counts of devices: a
/// count would treat 1g and 7g alike.
struct Quota {
  Cost guaranteed;            ///< stored and shown; kept by fairness, which comes later
  std::optional<Cost> limit;  ///< absent: no ceiling; zero: none at all
  std::int64_t weight = 1;
  friend bool operator==(const Quota&, const Quota&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("guaranteed", self.guaranteed);
    visit("limit", self.limit);
    visit("weight", self.weight);
  }
};

/// Where a team's document does not say: more than people ask for, and little enough that no team
/// fills the queue alone.
inline constexpr int kMaxWaiting = 1000;

struct Team {
  std::string name;
  std::string parent;  ///< department or organisation; empty at the root
  std::string description;
  std::map<std::string, Quota, std::less<>> quotas;  ///< by pool name; absent: no limit
  int max_waiting = kMaxWaiting;  ///< requests that wait, for room or approval, at one time

  const Quota* quota(std::string_view pool) const;
  friend bool operator==(const Team&, const Team&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("name", self.name);
    visit("parent", self.parent);
    visit("description", self.description);
    visit("quotas", self.quotas);
    visit("maxWaiting", self.max_waiting);
  }
};

}  // namespace tessera::tenancy
