#include "gateway/pipe.h"

#include <utility>

namespace tessera::gateway::detail {

bool Pipe::write(std::string part) {
  bool accepted = true;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    if (queued_.size() + part.size() > limit_) {
      ended_ = true;
      accepted = false;
    } else {
      queued_ += part;
    }
  }
  wake_();
  return accepted;
}

std::size_t Pipe::backlog() const {
  const std::lock_guard lock(mutex_);
  return queued_.size();
}

bool Pipe::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

void Pipe::close() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_();
}

std::optional<std::string> Pipe::take() {
  const std::lock_guard lock(mutex_);
  if (queued_.empty() && ended_) return std::nullopt;
  return std::exchange(queued_, {});
}

void Pipe::abandon() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  queued_.clear();
}

}  // namespace tessera::gateway::detail
