#pragma once

#include <vector>

#include "base/result.h"
#include "control/command.h"
#include "control/event.h"
#include "control/state.h"
#include "placement/spot.h"

namespace tessera::control {

/// What `command` would cause on `state` at `now`: events, or a refusal. Pure: the same input
/// gives the same answer, on any machine. Also the dry run of every command.
base::Result<std::vector<Event>> decide(const State& state, const Command& command,
                                        const tenancy::Actor& actor, Instant now);

/// Runs one command to its end: decides, applies, then grants waiting requests as long as the
/// step has made room. The record holds all of it and has the next revision; it is empty (and the
/// revision unchanged) when nothing happened. On a refusal the state is untouched.
/// The record is never dated before the one before it, even if `clock` went back.
base::Result<Record> step(State& state, const Command& command, const tenancy::Actor& actor,
                          Instant clock);

/// Where a need of `team` would go now, or why it waits. From the function that places.
placement::Explanation explain(const State& state, std::string_view team,
                               const request::Need& need);
/// The same for a request that waits, within the tier it was matched to.
placement::Explanation explain(const State& state, const request::Request& request);

/// What the agent of a node should make true.
fleet::NodeTarget target_of(const State& state, fleet::NodeIndex node);

/// The objects of the API that an event changes, as ("Request", "req-12"), ("Node", "node-1") …
struct ObjectRef {
  std::string kind;
  std::string name;
  friend auto operator<=>(const ObjectRef&, const ObjectRef&) = default;
};
/// Call after the event was applied.
std::vector<ObjectRef> touched_by(const State& state, const Event& event);

}  // namespace tessera::control
