#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "control/event.h"
#include "control/step.h"

namespace tessera::service {

/// One durable step and the API objects that it changed, each once, in order.
struct Change {
  control::Record record;
  std::vector<control::ObjectRef> touched;
};
using ChangePtr = std::shared_ptr<const Change>;

/// The last changes, for those who follow the state: list at revision R, then ask for what came
/// after R. Bounded: who falls behind further than `capacity` revisions is told so and lists again.
///
/// Threads: any. Only the engine publishes.
class ChangeFeed {
 public:
  /// Begins behind `revision`: earlier changes count as gone.
  ChangeFeed(std::size_t capacity, std::uint64_t revision);

  std::uint64_t newest() const;

  /// The changes after `revision`, oldest first, at most `limit`. Empty when there is nothing new.
  /// Errors: kTooOld when the change after `revision` is no longer held.
  base::Result<std::vector<ChangePtr>> after(std::uint64_t revision, std::size_t limit) const;

  /// Waits until there is a change after `revision`, at most `timeout`. False when there is none
  /// (time is up, or the feed was closed).
  bool wait_after(std::uint64_t revision, std::chrono::milliseconds timeout) const;

  /// Calls `listener` with the newest revision after each publication, on the engine's thread: it
  /// must be quick, and must neither listen nor end a listening itself. Ends with the returned
  /// handle, whose destruction waits for a call in progress; the feed must outlive the handle.
  using Listener = std::function<void(std::uint64_t newest)>;
  class Listening {
   public:
    Listening() = default;
    Listening(Listening&& other) noexcept;
    Listening& operator=(Listening&& other) noexcept;
    ~Listening();

   private:
    friend class ChangeFeed;
    Listening(ChangeFeed* feed, std::uint64_t key) : feed_(feed), key_(key) {}
    ChangeFeed* feed_ = nullptr;
    std::uint64_t key_ = 0;
  };
  [[nodiscard]] Listening listen(Listener listener);

  /// `changes` continue newest() without a gap.
  void publish(std::vector<Change> changes);
  /// Wakes all who wait; from now on nobody waits.
  void close();

 private:
  void forget(std::uint64_t listener);

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  mutable std::condition_variable news_;
  std::deque<ChangePtr> ring_;  ///< revisions newest_ - size + 1 … newest_
  std::uint64_t newest_;
  bool closed_ = false;

  std::mutex listeners_mutex_;
  std::map<std::uint64_t, Listener> listeners_;
  std::uint64_t next_listener_ = 1;
};

}  // namespace tessera::service
