#pragma once

#include "control/decide.h"

/// How a plan goes on: after every step, what it calls for next follows from the state alone, so a
/// control plane that is restarted in the middle goes on where it was.
namespace tessera::control {

/// Why a plan cannot be applied now, or any longer: what it rests on has changed since it was made.
/// Nothing where all is as it was.
std::optional<base::Error> outdated(const State& state, const Plan& plan);

/// The parts of a plan that no longer hold: its outdated GPUs, and all that moves connect with
/// them.
struct Outdated {
  std::vector<GpuIndex> gpus;        ///< by rising index
  std::optional<base::Error> first;  ///< what was found first
};
Outdated outdated_parts(const State& state, const Plan& plan);

/// What ends a plan that is being applied: what is on its way is taken back first. Where it owes
/// restarts it only turns back, unless it must end `at_once`.
Events stop_plan(const State& state, const Plan& plan, PlanState as, std::optional<Reason> reason,
                 const std::string& message, bool at_once);

/// Begins the moves that can begin, gives back GPUs that are done, grants what was planned there,
/// and ends the plan when nothing is left or something is in the way. Applies what it adds to
/// `events`. Nothing happens while no plan is being applied.
void advance_plan(State& state, Instant now, Events& events);

}  // namespace tessera::control
