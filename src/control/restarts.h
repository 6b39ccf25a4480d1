#pragma once

#include "control/decide.h"

/// How a plan restarts leases: their holders are told, the leases end and their requests are
/// granted anew, in the place that the plan has for them or, when it turns back, in the old one.
namespace tessera::control {

/// Tells holders when their leases will be stopped at the earliest: after their tiers' notice, and
/// not in their least time. Tells them again if that is longer by now.
Events announce_restarts(const State& state, const Plan& plan, Instant now);

/// Stops the leases whose turn it is, once their notice is over and everything before them is done:
/// nobody is stopped earlier than needed.
Events stop_leases(const State& state, const Plan& plan, Instant now);

/// Grants what was stopped its place, as far as that is free. Applies what it adds to `events`.
void place_stopped(State& state, const Plan& plan, Instant now, Events& events);

}  // namespace tessera::control
