#pragma once

#include "control/decide.h"

/// Plans that wait for a maintenance window.
namespace tessera::control {

/// Starts the plan whose window is open, one after the other by number, without what is outdated of
/// it; withdraws those whose window has closed, or of which nothing holds any more. Applies what it
/// adds to `events`.
void keep_windows(State& state, Instant now, Events& events);

/// When that has something to do next, if nothing else happens: a window opens, or one closes while
/// another plan is being applied.
std::optional<Instant> next_window(const State& state);

}  // namespace tessera::control
