#include "device/sharing/arbiter.h"

#include <algorithm>

#include "guard/ledger.h"

namespace tessera::device::sharing {
namespace {

using guard::Gate;

unsigned count_gpus(const std::vector<Sharer>& sharers) {
  unsigned gpus = 0;
  for (const auto& each : sharers)
    for (const unsigned gpu : each.gpus) gpus = std::max(gpus, gpu + 1);
  return gpus;
}

std::vector<Terms> terms_of(const std::vector<Sharer>& sharers) {
  std::vector<Terms> terms;
  for (const auto& each : sharers) terms.push_back(each.terms);
  return terms;
}

/// Each sharer as a gang; then all that are none, as one: they weigh what those of the GPU do where
/// they weigh most; then the latency-critical among them.
std::vector<Terms> terms_together(const std::vector<Sharer>& sharers) {
  auto terms = terms_of(sharers);
  std::vector<std::uint32_t> weights(count_gpus(sharers), 0);
  for (const auto& each : sharers)
    if (each.gpus.size() == 1 && !each.terms.critical) weights[each.gpus[0]] += each.terms.weight;
  const auto most = std::ranges::max_element(weights);
  terms.push_back({.weight = most == weights.end() ? 1 : std::max(1U, *most)});
  terms.push_back({.critical = true});
  return terms;
}

void add(Seen& sum, const Seen& more) {
  sum.present = sum.present || more.present;
  sum.active = sum.active || more.active;
  sum.in_flight = sum.in_flight || more.in_flight;
}

}  // namespace

Arbiter::Arbiter(std::vector<Sharer> sharers)
    : sharers_(std::move(sharers)),
      gang_(sharers_.size(), false),
      together_(terms_together(sharers_)),
      of_gpu_(count_gpus(sharers_), Turns(terms_of(sharers_))),
      gates_of_gpu_(of_gpu_.size()) {
  // What was launched before is not news: who has other tenants beside him now began long ago.
  constexpr Nanoseconds kNever = 0;
  for (const auto& sharer : sharers_) {
    auto& sights = sights_.emplace_back(sharer.gpus.size());
    for (unsigned slot = 0; slot < sights.size(); ++slot)
      look_at(sharer, slot, sights[slot], kNever);
  }
}

void Arbiter::look_at(const Sharer& sharer, unsigned slot, Sight& sight, Nanoseconds now) const {
  const auto& accounts = sharer.pages->accounts();
  Seen seen;
  std::uint64_t issued = 0, retired = 0;
  sight.waiting = false;
  for (unsigned row = 0; row < guard::rows_of(accounts); ++row) {
    const auto& progress = accounts.progress[row][slot];
    if (!guard::is_live(accounts.owner[row])) continue;
    seen.present = true;
    issued += progress.issued;
    retired += progress.retired;
    sight.waiting = sight.waiting || progress.waiting > 0;
    seen.in_flight =
        seen.in_flight || (progress.retired < progress.issued && now < progress.busy_until_ns);
  }
  seen.active = sight.waiting || issued != sight.issued;
  if (seen.active || seen.in_flight) sight.last_busy = now;
  if (!seen.in_flight || issued != sight.issued || retired != sight.retired) sight.last_moved = now;
  sight.issued = issued;
  sight.retired = retired;
  sight.seen = seen;
}

bool Arbiter::is_gang(std::size_t sharer, Nanoseconds now) const {
  return std::ranges::count_if(sights_[sharer], [now](const Sight& sight) {
           return sight.seen.present && sight.last_busy != 0 && now - sight.last_busy < kTogether;
         }) > 1;
}

std::vector<Seen> Arbiter::seen_together() const {
  const auto count = sharers_.size();
  std::vector<Seen> seen(count + 2);
  for (std::size_t i = 0; i < count; ++i) {
    const auto as = gang_[i] ? i : count + (sharers_[i].terms.critical ? 1 : 0);
    for (const auto& sight : sights_[i]) add(seen[as], sight.seen);
  }
  return seen;
}

std::vector<Seen> Arbiter::seen_on(unsigned gpu) const {
  std::vector<Seen> seen(sharers_.size());
  for (std::size_t i = 0; i < sharers_.size(); ++i)
    for (std::size_t slot = 0; slot < sights_[i].size(); ++slot)
      if (!gang_[i] && sharers_[i].gpus[slot] == gpu) add(seen[i], sights_[i][slot].seen);
  return seen;
}

/// A gang's turn has ended not long ago, and nobody else's has begun; a launch of its waits here
/// while what it has on another of its GPUs does not move.
bool Arbiter::may_help_out(std::size_t sharer, unsigned slot, Nanoseconds now) const {
  const auto& sights = sights_[sharer];
  // Where something of its own is in flight it is not what the others wait for.
  if (draining_ != sharer || now - drains_since_ >= kLongestHelp || !sights[slot].waiting ||
      sights[slot].seen.in_flight)
    return false;
  for (std::size_t other = 0; other < sights.size(); ++other)
    if (other != slot && sights[other].seen.in_flight && now - sights[other].last_moved >= kStuck)
      return true;
  return false;
}

/// Whose gate was the one open before all were closed, until another opens.
void Arbiter::note_draining(const std::vector<Gate>& together, Nanoseconds now) {
  bool any_open = false;
  for (std::size_t i = 0; i + 1 < together.size(); ++i) {
    const bool critical = i < sharers_.size() && sharers_[i].terms.critical;
    if (critical || together[i] == guard::kGateClosed) continue;
    any_open = true;
    if (i < sharers_.size() && gang_[i])
      last_open_ = i;
    else
      last_open_ = kNobody;
  }
  if (any_open)
    draining_ = kNobody;
  else if (draining_ == kNobody && last_open_ != kNobody) {
    draining_ = last_open_;
    drains_since_ = now;
  }
}

Gate Arbiter::gate_of(std::size_t sharer, unsigned slot, const std::vector<Gate>& together,
                      Nanoseconds now) const {
  if (gang_[sharer]) {
    const bool helps = together[sharer] == guard::kGateClosed && may_help_out(sharer, slot, now);
    return helps ? guard::kGateBounded : together[sharer];
  }
  const bool critical = sharers_[sharer].terms.critical;
  const auto here = gates_of_gpu_[sharers_[sharer].gpus[slot]][sharer];
  if (!any_gang_) return here;
  // The stricter of both: gates are numbered by how strict they are.
  return std::max(here, together[sharers_.size() + (critical ? 1 : 0)]);
}

void Arbiter::step(Nanoseconds now) {
  for (std::size_t i = 0; i < sharers_.size(); ++i) {
    sharers_[i].pages->note_look(now);
    for (unsigned slot = 0; slot < sights_[i].size(); ++slot)
      look_at(sharers_[i], slot, sights_[i][slot], now);
    gang_[i] = is_gang(i, now);
  }
  if (!gang_has_turn_) turns_of_gpus_ += now - last_step_;
  last_step_ = now;
  const auto& together = together_.step(now, seen_together());
  note_draining(together, now);
  any_gang_ = std::ranges::find(gang_, true) != gang_.end();
  gang_has_turn_ = any_gang_ && together[sharers_.size()] == guard::kGateClosed;
  for (unsigned gpu = 0; gpu < of_gpu_.size(); ++gpu) {
    const auto seen = seen_on(gpu);
    gates_of_gpu_[gpu] = of_gpu_[gpu].step(turns_of_gpus_, seen);
  }
  std::size_t present = 0;
  for (std::size_t i = 0; i < sharers_.size(); ++i) {
    for (unsigned slot = 0; slot < sights_[i].size(); ++slot)
      sharers_[i].pages->set_gate(slot, gate_of(i, slot, together, now));
    if (std::ranges::any_of(sights_[i], [](const Sight& sight) { return sight.seen.present; }))
      ++present;
  }
  contended_ = present > 1;
}

}  // namespace tessera::device::sharing
