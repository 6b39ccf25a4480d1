#include "device/sharing/arbiter.h"

#include <algorithm>

#include "guard/ledger.h"

namespace tessera::device::sharing {
namespace {

std::vector<Terms> terms_of(const std::vector<Sharer>& sharers) {
  std::vector<Terms> terms;
  for (const auto& each : sharers) terms.push_back(each.terms);
  return terms;
}

}  // namespace

Arbiter::Arbiter(std::vector<Sharer> sharers)
    : sharers_(std::move(sharers)),
      issued_(sharers_.size(), 0),
      seen_(sharers_.size()),
      turns_(terms_of(sharers_)) {}

Seen Arbiter::look_at(std::size_t sharer, Nanoseconds now) {
  const auto& accounts = sharers_[sharer].pages->accounts();
  Seen seen;
  std::uint64_t issued = 0;
  for (unsigned row = 0; row < guard::rows_of(accounts); ++row) {
    const auto& progress = accounts.progress[row][sharers_[sharer].slot];
    if (!guard::is_live(accounts.owner[row])) continue;
    seen.present = true;
    issued += progress.issued;
    seen.active = seen.active || progress.waiting > 0;
    seen.in_flight =
        seen.in_flight || (progress.retired < progress.issued && now < progress.busy_until_ns);
  }
  seen.active = seen.active || issued != issued_[sharer];
  issued_[sharer] = issued;
  return seen;
}

void Arbiter::step(Nanoseconds now) {
  for (std::size_t i = 0; i < sharers_.size(); ++i) seen_[i] = look_at(i, now);
  const auto& gates = turns_.step(now, seen_);
  for (std::size_t i = 0; i < sharers_.size(); ++i)
    sharers_[i].pages->set_gate(sharers_[i].slot, gates[i]);
  contended_ = std::ranges::count_if(seen_, [](const Seen& seen) { return seen.present; }) > 1;
}

}  // namespace tessera::device::sharing
