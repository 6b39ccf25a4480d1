#include "gateway/watch_hub.h"

#include <algorithm>
#include <iterator>

#include "wire/objects.h"
#include "wire/problem.h"

namespace tessera::gateway {

using base::Reason;
using control::ObjectRef;
using control::State;
using wire::Json;
using namespace std::chrono_literals;

namespace {

/// Changes taken from the feed, and objects sent to one watcher, before the others have a turn.
constexpr std::size_t kChangesAtOnce = 512;
constexpr std::size_t kObjectsAtOnce = 256;
/// How soon to look again whether a watcher that has to catch up has read what it was sent.
constexpr auto kCatchUpPause = 20ms;

std::string event_text(std::string_view type, std::uint64_t id, std::string_view data) {
  return "event: " + std::string(type) + "\nid: " + std::to_string(id) +
         "\ndata: " + std::string(data) + "\n\n";
}

std::string bookmark(std::uint64_t revision) {
  const Json data = {{"kind", "Bookmark"}, {"metadata", {{"revision", revision}}}};
  return event_text("BOOKMARK", revision, data.dump());
}

std::string text_of_deleted(const ObjectRef& object) {
  return Json{{"kind", object.kind}, {"metadata", {{"name", object.name}}}}.dump();
}

base::Error too_old(std::uint64_t revision) {
  return {Reason::kTooOld,
          "the changes after revision " + std::to_string(revision) + " are not held", "since",
          "list the objects again and watch from the list's metadata.revision"};
}

}  // namespace

WatchHub::WatchHub(service::Engine& engine, WatchOptions options)
    : engine_(engine),
      options_(options),
      history_(options.history_revisions, options.history_entries) {
  listening_ = engine_.feed().listen([this](std::uint64_t) { bell_.ring(); });
  engine_.read([this](const State& state) { history_.begin(state); });
  oldest_ = newest_ = history_.newest();
  thread_ = std::thread([this] { run(); });
}

WatchHub::~WatchHub() {
  stop();
}

void WatchHub::stop() {
  stopping_ = true;
  bell_.ring();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  for (auto* watchers : {&watchers_, &joining_}) {
    for (Watcher& watcher : *watchers) watcher.stream->close();
    watchers->clear();
  }
}

base::Result<void> WatchHub::admit(const std::shared_ptr<Exchange>& exchange,
                                   std::optional<std::uint64_t> since,
                                   std::set<std::string> kinds) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return base::fail(Reason::kUnavailable, "the server is stopping");
  if (count_ >= options_.most_watchers)
    return base::fail(Reason::kUnavailable, "too many watchers", {}, "try again later");
  // A revision that the hub has not seen yet may be durable already; one that the engine does not
  // know either is from another history.
  const std::uint64_t newest = std::max(newest_, engine_.feed().newest());
  if (since && (*since < oldest_ || *since > newest)) return std::unexpected(too_old(*since));
  Watcher watcher{.stream = exchange->stream({200, {{"Content-Type", "text/event-stream"}}, {}}),
                  .kinds = std::move(kinds),
                  .position = since.value_or(newest_),
                  .last_sent = std::chrono::steady_clock::now()};
  if (!watcher.stream) return {};  // the client has gone
  watcher.stream->write(bookmark(watcher.position));
  joining_.push_back(std::move(watcher));
  ++count_;
  bell_.ring();
  return {};
}

std::size_t WatchHub::watchers() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

void WatchHub::run() {
  while (!stopping_) {
    const bool behind = std::ranges::any_of(
        watchers_, [this](const Watcher& watcher) { return watcher.position < history_.newest(); });
    bell_.wait(behind ? kCatchUpPause : options_.bookmark_every / 4);
    follow();
    exchange_news();
    Rendered rendered;
    for (Watcher& watcher : watchers_) serve(watcher, rendered);
  }
}

/// Takes over what the feed has and the history has not.
void WatchHub::follow() {
  while (!stopping_) {
    const auto changes = engine_.feed().after(history_.newest(), kChangesAtOnce);
    if (!changes) return begin_anew(changes.error());
    if (changes->empty()) return;
    engine_.read([&](const State& state) {
      for (const auto& change : *changes)
        history_.note(state, change->record.revision, change->touched);
    });
  }
}

/// The hub itself fell behind the feed: everybody has to list again.
void WatchHub::begin_anew(const base::Error& error) {
  for (Watcher& watcher : watchers_) end(watcher, error);
  engine_.read([this](const State& state) { history_.begin(state); });
}

/// Lets in who joined, out who left, and others see how far the history goes.
void WatchHub::exchange_news() {
  std::erase_if(watchers_, [](const Watcher& watcher) { return watcher.stream->ended(); });
  const std::lock_guard lock(mutex_);
  std::ranges::move(joining_, std::back_inserter(watchers_));
  joining_.clear();
  count_ = watchers_.size();
  oldest_ = history_.oldest();
  newest_ = history_.newest();
}

void WatchHub::serve(Watcher& watcher, Rendered& rendered) {
  if (watcher.position < history_.oldest()) return end(watcher, too_old(watcher.position));
  // One that reads slowly may catch up; one that does not read at all runs into the write timeout.
  if (watcher.stream->ended() || watcher.stream->backlog() > options_.backlog) return;
  std::string text = next_text(watcher, rendered);
  const auto now = std::chrono::steady_clock::now();
  if (text.empty() && now - watcher.last_sent >= options_.bookmark_every)
    text = bookmark(watcher.position);
  if (text.empty()) return;
  watcher.last_sent = now;
  watcher.stream->write(std::move(text));
}

/// The next events for `watcher`, about as many bytes as may be under way.
std::string WatchHub::next_text(Watcher& watcher, Rendered& rendered) const {
  auto& [entries, upto] = watcher.part;
  if (watcher.sent == entries.size()) {
    watcher.part = history_.after(watcher.position, watcher.kinds, kObjectsAtOnce);
    watcher.sent = 0;
  }
  std::string text;
  while (watcher.sent < entries.size() && text.size() < options_.backlog) {
    const auto& [revision, type, object] = entries[watcher.sent++];
    const bool last = watcher.sent == entries.size() || entries[watcher.sent].revision > revision;
    if (last) watcher.position = revision;
    std::string data = type == ChangeType::kDeleted ? text_of_deleted(object) : std::string();
    if (data.empty()) data = rendered_text(object, rendered);
    if (data.empty()) continue;  // gone meanwhile: its deletion is about to be told
    text += event_text(to_string(type), watcher.position, data);
  }
  if (watcher.sent == entries.size()) watcher.position = upto;
  return text;
}

const std::string& WatchHub::rendered_text(const ObjectRef& object, Rendered& rendered) const {
  auto [found, fresh] = rendered.try_emplace(object);
  if (fresh) {
    const auto json = engine_.read(
        [&](const State& state) { return wire::find_object(state, object.kind, object.name); });
    if (json) found->second = json->dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return found->second;
}

void WatchHub::end(Watcher& watcher, const base::Error& error) {
  watcher.stream->write("event: ERROR\ndata: " + wire::problem_of(error).dump() + "\n\n");
  watcher.stream->close();
}

}  // namespace tessera::gateway
