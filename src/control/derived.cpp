// How two states that are equal in what is stored may still differ: by a derived table that was
// not kept in step.
#include <algorithm>

#include "control/state.h"

namespace tessera::control {
namespace {

bool equal(const auto& a, const auto& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

std::string State::derived_difference(const State& other) const {
  if (auto difference = index_.difference(other.index_, fleet_); !difference.empty())
    return difference;
  if (waiting_ != other.waiting_) return "the queue differs";
  if (waiting_by_team_ != other.waiting_by_team_) return "the number of waiting requests differs";
  if (owed_ != other.owed_) return "what a plan owes differs";
  if (!equal(lease_ends_, other.lease_ends_)) return "the ends of leases differ";
  if (!equal(lease_notices_, other.lease_notices_)) return "the notices of leases differ";
  if (!equal(request_timers_, other.request_timers_)) return "the timers of requests differ";
  if (!same_levels(history_, other.history_)) return "what is asked for differs";
  if (token_by_digest_ != other.token_by_digest_) return "the tokens differ";
  if (request_by_key_ != other.request_by_key_) return "the idempotency keys differ";
  for (std::size_t i = 0; i < fleet_.pools().size(); ++i)
    for (const auto& [name, team] : teams_)
      if (usage(name, fleet::PoolIndex(i)) != other.usage(name, fleet::PoolIndex(i)))
        return "use of " + name + " in " + fleet_.pools()[i].name + " differs";
  for (const auto& [name, tier] : tiers_) {
    const auto use_of = [&](const State& state) {
      const auto found = state.use_by_tier_.find(name);
      return found == state.use_by_tier_.end() ? placement::TierUse{} : found->second;
    };
    const auto mine = use_of(*this), theirs = use_of(other);
    if (mine.cost != theirs.cost || mine.slices != theirs.slices)
      return "use of tier " + name + " differs";
  }
  return {};
}

}  // namespace tessera::control
