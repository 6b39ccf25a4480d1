#include "service/command_queue.h"

#include <utility>

namespace tessera::service {

base::Result<void> CommandQueue::put(PendingAsk& pending) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return base::fail(base::Reason::kUnavailable, "the server is stopping", {},
                        "try again when it is back");
    }
    if (waiting_.size() >= limit_) {
      return base::fail(base::Reason::kUnavailable,
                        std::to_string(limit_) + " commands are already waiting", {},
                        "try again in a few seconds");
    }
    waiting_.push_back(std::move(pending));
  }
  arrived_.notify_one();
  return {};
}

std::vector<PendingAsk> CommandQueue::take(std::size_t limit, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, wait, [&] { return closed_ || !waiting_.empty(); });
  std::vector<PendingAsk> taken;
  while (!waiting_.empty() && taken.size() < limit) {
    taken.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return taken;
}

void CommandQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  arrived_.notify_all();
}

bool CommandQueue::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

std::size_t CommandQueue::size() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

}  // namespace tessera::service
