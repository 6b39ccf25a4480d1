#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/time.h"

namespace tessera::simulation {

using base::Duration;
using base::Instant;

inline Duration seconds(std::uint64_t count) {
  return std::chrono::seconds(count);
}

/// The time of a simulated world: it stands still until told to move.
class VirtualClock final : public base::Clock {
 public:
  explicit VirtualClock(Instant start) : now_(start) {}
  Instant now() const override { return now_; }
  void move_to(Instant instant) {
    CHECK(instant >= now_);
    now_ = instant;
  }

 private:
  Instant now_;
};

/// What will happen, in order of time; what is due at the same instant happens in the order in
/// which it was planned. Owns the clock, which jumps from one event to the next. One thread.
class Agenda {
 public:
  using Action = std::function<void()>;

  explicit Agenda(Instant start) : clock_(start) {}
  Agenda(const Agenda&) = delete;
  Agenda& operator=(const Agenda&) = delete;

  const VirtualClock& clock() const { return clock_; }
  Instant now() const { return clock_.now(); }

  /// An instant in the past means now.
  void at(Instant instant, Action action) {
    actions_.emplace(std::pair(std::max(instant, now()), next_++), std::move(action));
  }
  void after(Duration delay, Action action) { at(now() + delay, std::move(action)); }

  /// Does everything that is due up to `end` and leaves the clock there.
  void run_until(Instant end) {
    while (!actions_.empty() && actions_.begin()->first.first <= end) {
      const auto first = actions_.begin();
      clock_.move_to(first->first.first);
      const Action action = std::move(first->second);
      actions_.erase(first);
      action();
    }
    clock_.move_to(end);
  }

 private:
  VirtualClock clock_;
  std::map<std::pair<Instant, std::uint64_t>, Action> actions_;
  std::uint64_t next_ = 0;
};

}  // namespace tessera::simulation
