#include "service/engine.h"

#include <future>

#include "journal/codec.h"

namespace tessera::service {

using base::Reason;
using base::Result;
using control::Record;

namespace {

/// Holds a semaphore for as long as it lives, if it became free in time.
struct Turn {
  Turn(std::binary_semaphore& of, base::Duration limit)
      : semaphore(of), ours(of.try_acquire_for(limit)) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (ours) semaphore.release();
  }
  std::binary_semaphore& semaphore;
  const bool ours;
};

std::unique_ptr<control::State> taken_over(std::unique_ptr<control::State> state,
                                           base::Instant now) {
  state->begin_incarnation(now);
  return state;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::start(std::shared_ptr<const catalog::Catalog> catalog,
                                              journal::Journal& journal, const base::Clock& clock,
                                              EngineOptions options) {
  auto replayed = journal::replay(journal, std::move(catalog), options.progress);
  if (!replayed) return std::unexpected(std::move(replayed.error()));
  return std::unique_ptr<Engine>(
      new Engine(journal, clock, std::move(options), std::move(*replayed)));
}

Engine::Engine(journal::Journal& journal, const base::Clock& clock, EngineOptions options,
               journal::Replayed replayed)
    : journal_(journal),
      clock_(clock),
      options_(std::move(options)),
      queue_(options_.queue_limit),
      durable_(taken_over(std::move(replayed.state), clock.now())),
      ahead_(std::make_unique<control::State>(durable_->clone())),
      last_look_(clock.now()),
      watch_(options_.node_grace, last_look_),
      feed_(options_.feed_capacity, durable_->revision()),
      snapshotter_(journal, options_.snapshot_every, replayed.snapshot, [this] {
        return read([](const control::State& state) {
          return journal::Snapshot{state.revision(), journal::encode(state)};
        });
      }) {
  snapshotter_.reached(durable_->revision());
  thread_ = std::thread([this] { run(); });
}

Engine::~Engine() {
  stop();
}

void Engine::stop() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
  snapshotter_.stop();
  feed_.close();
}

void Engine::ask(Ask ask, AnswerHandler handler) {
  PendingAsk pending{std::move(ask), std::move(handler)};
  if (auto queued = queue_.put(pending); !queued) {
    pending.handler(std::unexpected(std::move(queued.error())));
  }
}

Answer Engine::execute(control::Command command, const tenancy::Actor& actor,
                       Precondition precondition) {
  // Shared: after answer_limit nobody waits any more, but the handler may still be called.
  const auto promise = std::make_shared<std::promise<Answer>>();
  auto future = promise->get_future();
  ask({std::move(command), actor, std::move(precondition)},
      [promise](Answer answer) { promise->set_value(std::move(answer)); });
  if (future.wait_for(options_.answer_limit) != std::future_status::ready) {
    return base::fail(Reason::kUnavailable,
                      "no answer within " + base::to_string(options_.answer_limit), {},
                      "look whether it took effect before asking again");
  }
  return future.get();
}

Result<Rehearsal> Engine::rehearse(const Ask& ask) const {
  // A copy may be large: one at a time keeps the memory bounded.
  const Turn turn(rehearsal_, options_.answer_limit);
  if (!turn.ours) {
    return base::fail(Reason::kUnavailable, "other dry runs take too long", {}, "try again");
  }
  const auto [bytes, catalog] = read([](const control::State& state) {
    return std::pair(journal::encode(state), state.shared_catalog());
  });
  auto copy = journal::decode_state(bytes, catalog);
  if (!copy) return std::unexpected(std::move(copy.error()));
  if (ask.precondition) {
    auto met = ask.precondition(**copy);
    if (!met) return std::unexpected(std::move(met.error()));
  }
  auto record = control::step(**copy, ask.command, ask.actor, clock_.now());
  if (!record) return std::unexpected(std::move(record.error()));
  return Rehearsal{std::move(*record), std::move(*copy)};
}

EngineStatus Engine::status() const {
  const auto snapshot = snapshotter_.report();
  const std::lock_guard lock(status_mutex_);
  EngineStatus status = status_;
  status.revision = feed_.newest();
  status.waiting = queue_.size();
  status.snapshot = snapshot.revision;
  if (status.trouble.empty()) status.trouble = snapshot.trouble;
  return status;
}

}  // namespace tessera::service
