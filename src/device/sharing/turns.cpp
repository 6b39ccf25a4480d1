#include "device/sharing/turns.h"

#include <algorithm>
#include <limits>

namespace tessera::device::sharing {

using guard::Gate;

Turns::Turns(std::vector<Terms> terms) : gates_(terms.size(), guard::kGateOpen) {
  for (const auto& each : terms) tenants_.push_back({.terms = each});
}

void Turns::look(Nanoseconds now, const std::vector<Seen>& seen) {
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    auto& tenant = tenants_[i];
    tenant.seen = seen[i];
    if (seen[i].present && (seen[i].active || seen[i].in_flight)) {
      tenant.last_busy = now;
      if (!tenant.wants) return_from_idleness(tenant);
      tenant.wants = true;
    } else if (!seen[i].present || now - tenant.last_busy >= kIdle) {
      tenant.wants = false;
    }
  }
}

void Turns::return_from_idleness(Tenant& tenant) {
  double least = std::numeric_limits<double>::max();
  for (const auto& other : tenants_)
    if (other.wants && !other.terms.critical) least = std::min(least, other.charged);
  if (least == std::numeric_limits<double>::max()) return;
  tenant.charged =
      std::max(tenant.charged, least - static_cast<double>(kQuantum) / tenant.terms.weight);
}

bool Turns::critical_wants() const {
  return std::ranges::any_of(
      tenants_, [](const Tenant& tenant) { return tenant.terms.critical && tenant.wants; });
}

unsigned Turns::best_effort_wanting() const {
  return static_cast<unsigned>(std::ranges::count_if(
      tenants_, [](const Tenant& tenant) { return !tenant.terms.critical && tenant.wants; }));
}

int Turns::least_charged() const {
  int least = kNobody;
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    const auto& tenant = tenants_[i];
    if (tenant.terms.critical || !tenant.wants) continue;
    if (least == kNobody || tenant.charged < tenants_[static_cast<std::size_t>(least)].charged)
      least = static_cast<int>(i);
  }
  return least;
}

void Turns::charge_holder(Nanoseconds until) {
  auto& holder = tenants_[static_cast<std::size_t>(holder_)];
  if (until > charged_until_)
    holder.charged += static_cast<double>(until - charged_until_) / holder.terms.weight;
  charged_until_ = std::max(charged_until_, until);
}

void Turns::end_turn(Nanoseconds until) {
  if (holder_ != kNobody) charge_holder(until);
  holder_ = kNobody;
  draining_ = false;
}

void Turns::go_on(Nanoseconds now) {
  const auto& holder = tenants_[static_cast<std::size_t>(holder_)];
  if (draining_) {
    if (!holder.seen.in_flight || now - closed_at_ >= kLongestDrain) end_turn(now);
    return;
  }
  if (!holder.wants) return end_turn(holder.last_busy);
  if (best_effort_wanting() == 1) return end_turn(now);
  if (now - quantum_begun_ < kQuantum) return;
  charge_holder(now);
  quantum_begun_ = now;
  if (least_charged() == holder_) return;
  draining_ = true;
  closed_at_ = now;
}

void Turns::begin_turn(Nanoseconds now) {
  holder_ = least_charged();
  charged_until_ = quantum_begun_ = now;
}

const std::vector<Gate>& Turns::step(Nanoseconds now, const std::vector<Seen>& seen) {
  look(now, seen);
  if (critical_wants()) {
    end_turn(now);
  } else {
    if (holder_ != kNobody) go_on(now);
    if (holder_ == kNobody && best_effort_wanting() > 1) begin_turn(now);
  }
  set_gates();
  return gates_;
}

void Turns::set_gates() {
  const auto present =
      std::ranges::count_if(tenants_, [](const Tenant& tenant) { return tenant.seen.present; });
  const bool beside_critical = std::ranges::any_of(
      tenants_, [](const Tenant& tenant) { return tenant.terms.critical && tenant.seen.present; });
  const bool critical_works = critical_wants();
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    const auto& tenant = tenants_[i];
    const bool alone = present == 0 || (present == 1 && tenant.seen.present);
    if (tenant.terms.critical)
      gates_[i] = alone ? guard::kGateOpen : guard::kGateCounted;
    else if (critical_works ||
             (holder_ != kNobody && (draining_ || holder_ != static_cast<int>(i))))
      gates_[i] = guard::kGateClosed;
    else if (alone)
      gates_[i] = guard::kGateOpen;
    else
      gates_[i] = beside_critical ? guard::kGateTight : guard::kGateBounded;
  }
}

}  // namespace tessera::device::sharing
