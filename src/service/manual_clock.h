#pragma once

#include <atomic>

#include "base/time.h"

namespace tessera::service {

/// A clock for tests: stands still until told otherwise. Threads: any.
class ManualClock final : public base::Clock {
 public:
  explicit ManualClock(base::Instant start) : now_(start.time_since_epoch().count()) {}
  base::Instant now() const override { return base::Instant(base::Duration(now_.load())); }
  void advance(base::Duration by) { now_ += by.count(); }

 private:
  std::atomic<base::Duration::rep> now_;
};

}  // namespace tessera::service
