#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/state.h"

namespace tessera::control {

/// A promise about the state that must hold after every step. Each is a class of its own, so that
/// a violation has a name; none changes anything.
class Invariant {
 public:
  virtual ~Invariant() = default;
  virtual std::string_view name() const = 0;
  /// What is broken, naming the objects; nothing when all is well. `record` is the last step.
  virtual std::optional<std::string> check(const State& state, const Record& record) = 0;
  /// The same for the whole state, whatever the last step was: where a run ends, and where one
  /// begins. Nothing where only a step can break the promise.
  virtual std::optional<std::string> check_all(const State&) { return std::nullopt; }
};

/// NoSliceHeldTwice, LayoutIsLegal, CapacityNeverExceeded, LedgerConserves, ScrubBeforeReuse,
/// ExplainAgreesWithPlace, DerivedMatchesStored. Those that look at what changed keep notes of
/// their own between calls, so use one set per state.
std::vector<std::unique_ptr<Invariant>> all_invariants();

}  // namespace tessera::control
