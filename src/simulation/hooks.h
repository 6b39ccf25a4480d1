#pragma once

#include <functional>

#include "control/command.h"
#include "control/event.h"
#include "fleet/node_protocol.h"
#include "journal/memory_journal.h"

namespace tessera::simulation {

/// Where a test may plant a bug, to prove that the auditor finds it. All empty in a real run.
struct Hooks {
  /// Changes what a node says before the control plane hears it.
  std::function<void(fleet::NodeReport&)> on_report;
  /// Changes a step's record before it is stored and audited.
  std::function<void(control::Record&)> on_record;
  /// Changes what is on the disk before a control plane starts from it.
  std::function<void(journal::MemoryJournal&)> on_restart;
  /// False: this target never leaves the control plane.
  std::function<bool(const fleet::NodeTarget&)> on_target;
  /// False: this command never reaches the control plane.
  std::function<bool(const control::Command&)> on_command;
};

}  // namespace tessera::simulation
