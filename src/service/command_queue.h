#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "control/command.h"
#include "control/event.h"

namespace tessera::control {
class State;
}

namespace tessera::service {

/// Looked at on the engine's thread, right before the command is decided and with nothing in
/// between; an error refuses it. For conditions such as "the object is still as I saw it".
using Precondition = std::function<base::Result<void>(const control::State&)>;

/// What somebody asks of the engine.
struct Ask {
  control::Command command;
  tenancy::Actor actor;
  Precondition precondition;  ///< empty: none
};

/// What the command caused, durable. A record without events says that it changed nothing (its
/// revision is that of the state it met).
using Answer = base::Result<control::Record>;
using AnswerHandler = std::function<void(Answer)>;

struct PendingAsk {
  Ask ask;
  AnswerHandler handler;
};

/// The asks that wait for the engine, bounded. Threads: any puts, one takes.
class CommandQueue {
 public:
  explicit CommandQueue(std::size_t limit) : limit_(limit) {}

  /// Errors: kUnavailable when full or closed; `pending` is then untouched.
  base::Result<void> put(PendingAsk& pending);

  /// Up to `limit` asks, at once if there are any; else waits for one, at most `wait`.
  std::vector<PendingAsk> take(std::size_t limit, std::chrono::milliseconds wait);

  /// Nothing more comes in; what is there can still be taken.
  void close();
  bool closed() const;
  std::size_t size() const;

 private:
  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<PendingAsk> waiting_;
  bool closed_ = false;
};

}  // namespace tessera::service
