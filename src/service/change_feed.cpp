#include "service/change_feed.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tessera::service {

ChangeFeed::ChangeFeed(std::size_t capacity, std::uint64_t revision)
    : capacity_(capacity), newest_(revision) {}

std::uint64_t ChangeFeed::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

base::Result<std::vector<ChangePtr>> ChangeFeed::after(std::uint64_t revision,
                                                       std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  if (revision >= newest_) return std::vector<ChangePtr>{};
  const std::uint64_t missed = newest_ - revision;
  if (missed > ring_.size()) {
    return base::fail(
        base::Reason::kTooOld,
        "the changes after revision " + std::to_string(revision) + " are no longer held", {},
        "list the objects again and watch from the list's revision");
  }
  const auto first = ring_.end() - static_cast<std::ptrdiff_t>(missed);
  const auto count = std::min<std::uint64_t>(missed, limit);
  return std::vector<ChangePtr>(first, first + static_cast<std::ptrdiff_t>(count));
}

bool ChangeFeed::wait_after(std::uint64_t revision, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  news_.wait_for(lock, timeout, [&] { return closed_ || newest_ > revision; });
  return newest_ > revision;
}

ChangeFeed::Listening ChangeFeed::listen(Listener listener) {
  const std::lock_guard lock(listeners_mutex_);
  const std::uint64_t key = next_listener_++;
  listeners_.emplace(key, std::move(listener));
  return Listening(this, key);
}

void ChangeFeed::forget(std::uint64_t listener) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.erase(listener);
}

void ChangeFeed::publish(std::vector<Change> changes) {
  if (changes.empty()) return;
  std::uint64_t newest = 0;
  {
    const std::lock_guard lock(mutex_);
    for (auto& change : changes) {
      CHECK(change.record.revision == newest_ + 1);
      newest_ = change.record.revision;
      ring_.push_back(std::make_shared<const Change>(std::move(change)));
      if (ring_.size() > capacity_) ring_.pop_front();
    }
    newest = newest_;
  }
  news_.notify_all();
  const std::lock_guard lock(listeners_mutex_);
  for (const auto& [key, listener] : listeners_) listener(newest);
}

void ChangeFeed::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  news_.notify_all();
}

ChangeFeed::Listening::Listening(Listening&& other) noexcept
    : feed_(std::exchange(other.feed_, nullptr)), key_(other.key_) {}

ChangeFeed::Listening& ChangeFeed::Listening::operator=(Listening&& other) noexcept {
  std::swap(feed_, other.feed_);
  std::swap(key_, other.key_);
  return *this;
}

ChangeFeed::Listening::~Listening() {
  if (feed_ != nullptr) feed_->forget(key_);
}

}  // namespace tessera::service
