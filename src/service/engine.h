#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "control/state.h"
#include "control/step.h"
#include "journal/journal.h"
#include "journal/replay.h"
#include "service/change_feed.h"
#include "service/command_queue.h"
#include "service/node_watch.h"
#include "service/read_gate.h"
#include "service/snapshotter.h"

namespace tessera::service {

struct EngineOptions {
  std::size_t queue_limit = 4'096;                     ///< asks that wait; more are refused
  std::size_t batch_limit = 512;                       ///< asks that share one durable commit
  base::Duration idle_wait = std::chrono::seconds(1);  ///< longest time between looks at the clock
  base::Duration node_grace = std::chrono::seconds(30);    ///< a node silent for so long is lost
  base::Duration answer_limit = std::chrono::seconds(10);  ///< execute() waits no longer
  std::uint64_t snapshot_every = 10'000;                   ///< revisions
  std::size_t feed_capacity = 8'192;                       ///< revisions held for those who watch
  journal::Progress progress;  ///< of the replay at the start; may be empty
};

/// How the engine does, for /readyz and metrics.
struct EngineStatus {
  std::uint64_t revision = 0;  ///< durable
  bool writable = true;        ///< the last commit reached the journal
  std::string trouble;         ///< why not; also of a snapshot that failed
  std::size_t waiting = 0;     ///< asks in the queue
  std::uint64_t asked = 0;     ///< asks answered since the start
  std::uint64_t refused = 0;   ///< of these, with an error
  std::uint64_t commits = 0;
  std::chrono::nanoseconds commit_time{};  ///< spent in them, all together
  std::uint64_t snapshot = 0;              ///< revision of the last one written since the start
};

/// A dry run: what a command would cause, and the state as it would be then.
struct Rehearsal {
  control::Record record;
  std::unique_ptr<control::State> state;
};

/// Runs the control plane: the one place where commands become durable records.
///
/// One thread decides. It takes all asks that wait, steps each on the state `ahead_`, appends the
/// records in one durable commit, applies them to `durable_`, then answers. Thus:
/// 1. Nobody is answered, and nobody reads anything, before it is durable.
/// 2. Readers never wait for the disk: they share `durable_`, which is locked against them only
///    while durable records are applied to it. (Two states cost memory; holding one locked through
///    an fsync would stop every reader whenever the disk is slow, or gone.)
/// 3. Both states get each record once, `ahead_` through deciding and `durable_` through replaying
///    it, so a difference between the two ways shows in their digests, not in a later restart.
/// 4. When an append fails, the journal is asked what it holds: records that are there after all
///    count as stored, `ahead_` goes back to what is durable, everyone else is told Unavailable,
///    and the next ask tries again. Reads go on.
///
/// Besides asks the engine issues, as the actor "system": Tick when something is due, NodeSilent
/// when a ready node has not reported for node_grace. It looks at least every idle_wait.
///
/// Threads: every public method from any thread; stop() and the destructor from one. Catalog,
/// journal and clock must outlive the engine.
class Engine {
 public:
  /// Replays the journal, then starts. Errors: what journal::replay says.
  static base::Result<std::unique_ptr<Engine>> start(
      std::shared_ptr<const catalog::Catalog> catalog, journal::Journal& journal,
      const base::Clock& clock, EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Queues an ask. `handler` gets the answer exactly once: on the engine's thread, so it must be
  /// quick; or on the caller's, before ask() returns, when the queue is full or closed.
  void ask(Ask ask, AnswerHandler handler);

  /// Asks and waits. Errors: those of control::step and of the precondition; kUnavailable when the
  /// journal cannot be written, the queue is full, or no answer came within answer_limit (the
  /// command may then still take effect).
  Answer execute(control::Command command, const tenancy::Actor& actor,
                 Precondition precondition = {});

  /// Calls `reader(const State&)` with the durable state and returns what it returns (by value:
  /// nothing in the state may be referred to afterwards). Do not call the engine from inside.
  template <class Reader>
  auto read(Reader&& reader) const {
    const auto lock = gate_.read();
    return std::forward<Reader>(reader)(std::as_const(*durable_));
  }

  /// Steps an ask on a copy of the state. Costs as much as reading a snapshot; one at a time.
  base::Result<Rehearsal> rehearse(const Ask& ask) const;

  ChangeFeed& feed() { return feed_; }
  journal::Journal& journal() { return journal_; }  ///< for the audit trail: read() only
  EngineStatus status() const;

  /// Answers what is queued, refuses what comes after, ends the threads. Idempotent.
  void stop();

 private:
  struct Batch;

  Engine(journal::Journal& journal, const base::Clock& clock, EngineOptions options,
         journal::Replayed replayed);

  // The engine's thread:
  void run();
  base::Duration wait_now() const;
  void issue_own(Batch& batch);
  void step_own(Batch& batch, const control::Command& command);
  void decide(Batch& batch, PendingAsk pending);
  void store(Batch& batch);
  base::Result<void> settle();
  void publish(std::vector<control::Record> records);
  void note_commit(const base::Result<void>& stored, std::chrono::nanoseconds took);
  void answer(Batch& batch, const base::Result<void>& stored);

  journal::Journal& journal_;
  const base::Clock& clock_;
  const EngineOptions options_;

  CommandQueue queue_;
  ReadGate gate_;
  std::unique_ptr<control::State> durable_;  ///< behind gate_; changed by the engine's thread only
  std::unique_ptr<control::State> ahead_;    ///< the engine's thread only
  bool settled_ = true;                      ///< ahead_, durable_ and the journal agree; likewise
  bool stored_ = true;                       ///< the last append succeeded; likewise
  bool tick_helped_ = true;                  ///< the last Tick changed something; likewise
  base::Instant last_look_;                  ///< at the nodes; likewise
  NodeWatch watch_;                          ///< likewise
  ChangeFeed feed_;
  Snapshotter snapshotter_;
  mutable std::binary_semaphore rehearsal_{1};

  mutable std::mutex status_mutex_;
  EngineStatus status_;

  std::thread thread_;
};

}  // namespace tessera::service
