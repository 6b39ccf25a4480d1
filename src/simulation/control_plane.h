#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "control/state.h"
#include "control/step.h"
#include "journal/memory_journal.h"
#include "simulation/agenda.h"
#include "simulation/hooks.h"

namespace tessera::simulation {

/// The control plane's process: the production step function over a journal on a disk of memory,
/// in the production binary form. A killed process loses its state and nothing else; the next one
/// replays.
///
/// 1. Nothing is acknowledged that is not stored.
/// 2. A state that was replayed equals the one that was lost, byte for byte (Violation).
class ControlPlane {
 public:
  /// Hears of every stored record once, with the state after it.
  using Listener = std::function<void(const control::State&, const control::Record&)>;

  ControlPlane(std::shared_ptr<const catalog::Catalog> catalog, const Agenda& agenda,
               const Hooks& hooks, Listener listener);

  /// As service::Engine answers: kUnavailable when the process is down or the journal refuses.
  base::Result<control::Record> execute(const control::Command& command,
                                        const tenancy::Actor& actor);

  bool up() const { return state_ != nullptr; }
  /// The process must be up.
  const control::State& state() const { return *state_; }
  journal::MemoryJournal& journal() { return journal_; }
  const journal::MemoryJournal& journal() const { return journal_; }

  void kill();
  void restart();
  /// Replays everything from nothing, snapshots left aside, and compares.
  void check_whole_journal();

 private:
  void recover();
  void start();

  std::shared_ptr<const catalog::Catalog> catalog_;
  const Agenda& agenda_;
  const Hooks& hooks_;
  Listener listener_;
  journal::MemoryJournal journal_;
  std::unique_ptr<control::State> state_;
  std::uint64_t heard_ = 0;     ///< revision of the last record the listener was told
  std::string digest_at_kill_;  ///< empty: nothing to compare with
};

}  // namespace tessera::simulation
