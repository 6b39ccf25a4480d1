#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace tessera::gateway {

/// Wakes one thread from others, without ever holding them up: ringing only sets a flag.
class Bell {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    heard_.notify_one();
  }
  /// Until it rings, or has rung since the last wait; at most `limit`.
  void wait(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    heard_.wait_for(lock, limit, [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable heard_;
  bool rung_ = false;
};

}  // namespace tessera::gateway
