#pragma once

#include <mutex>
#include <shared_mutex>

namespace tessera::service {

/// Many readers or one writer, where a writer that waits holds back the readers that come after
/// it: with a plain shared_mutex a steady stream of readers could keep the writer out for ever.
///
/// Threads: any. Not recursive: who holds a read lock must not ask for another.
class ReadGate {
 public:
  std::shared_lock<std::shared_mutex> read() const {
    const std::lock_guard turn(turnstile_);
    return std::shared_lock(mutex_);
  }
  std::unique_lock<std::shared_mutex> write() {
    const std::lock_guard turn(turnstile_);
    return std::unique_lock(mutex_);
  }

 private:
  mutable std::mutex turnstile_;
  mutable std::shared_mutex mutex_;
};

}  // namespace tessera::service
