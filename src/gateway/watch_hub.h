#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gateway/bell.h"
#include "gateway/http_server.h"
#include "gateway/watch_history.h"
#include "service/engine.h"

namespace tessera::gateway {

struct WatchOptions {
  std::chrono::milliseconds bookmark_every{10'000};
  std::size_t most_watchers = 256;
  std::size_t history_revisions = 8'192;  ///< one may resume from
  std::size_t history_entries = 262'144;
  std::size_t backlog = 256 << 10;  ///< bytes under way to one watcher before it has to catch up
};

/// Tells watchers what changed, as server-sent events:
///
///     event: MODIFIED
///     id: 4711
///     data: {"kind":"Request",…}
///
/// A watcher that begins at revision R gets every object that changed after R at least once, with
/// its state at the time of sending (which may be newer than the event's id); one that resumes
/// from the id it saw last misses nothing: an event has its own revision as id only if it is the
/// last of that revision. Of a deleted object only kind and name are sent.
/// BOOKMARK says how far the watcher has come while nothing of interest happens. ERROR, with a
/// problem as data, ends the stream: kTooOld for a watcher that fell behind the history.
///
/// One thread of its own does all the work, so the engine only ever rings its bell. Memory is
/// bounded: a watcher with `backlog` bytes under way gets nothing more until it has read them, and
/// falls behind by its position alone.
///
/// Threads: any. The engine must outlive the hub.
class WatchHub {
 public:
  WatchHub(service::Engine& engine, WatchOptions options);
  ~WatchHub();
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  /// Answers `exchange` with a stream of what happens to `kinds` (empty: all) after `since`
  /// (absent: from now on). Errors: kTooOld, kUnavailable (too many watchers, or stopped).
  base::Result<void> admit(const std::shared_ptr<Exchange>& exchange,
                           std::optional<std::uint64_t> since, std::set<std::string> kinds);
  std::size_t watchers() const;
  void stop();

 private:
  struct Watcher {
    std::shared_ptr<ResponseStream> stream;
    std::set<std::string> kinds;
    std::uint64_t position = 0;  ///< everything up to here was sent
    std::chrono::steady_clock::time_point last_sent;
    WatchHistory::Part part;  ///< being sent …
    std::size_t sent = 0;     ///< … this many of its entries so far
  };
  /// Objects as text, built once a round for all watchers; empty: gone.
  using Rendered = std::map<control::ObjectRef, std::string>;

  // The hub's thread:
  void run();
  void follow();
  void begin_anew(const base::Error& error);
  void exchange_news();
  void serve(Watcher& watcher, Rendered& rendered);
  std::string next_text(Watcher& watcher, Rendered& rendered) const;
  const std::string& rendered_text(const control::ObjectRef& object, Rendered& rendered) const;
  static void end(Watcher& watcher, const base::Error& error);

  service::Engine& engine_;
  const WatchOptions options_;
  Bell bell_;
  std::atomic<bool> stopping_ = false;

  WatchHistory history_;           ///< the hub's thread only
  std::vector<Watcher> watchers_;  ///< likewise

  mutable std::mutex mutex_;  ///< guards what others see and leave here
  std::vector<Watcher> joining_;
  std::size_t count_ = 0;     ///< watchers, those joining included
  std::uint64_t oldest_ = 0;  ///< of the history
  std::uint64_t newest_ = 0;  ///< likewise

  service::ChangeFeed::Listening listening_;
  std::thread thread_;
};

}  // namespace tessera::gateway
