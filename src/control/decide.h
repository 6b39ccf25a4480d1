#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "control/command.h"
#include "control/event.h"
#include "control/state.h"
#include "placement/place.h"

/// The parts of decide(), one file per subject. Every function is pure: state in, events out.
namespace tessera::control {

using Events = std::vector<Event>;
using Decision = base::Result<Events>;
using tenancy::Actor;

// decide_documents.cpp
Decision decide_put(const State& state, const PutTier& command);
Decision decide_put(const State& state, const PutTeam& command);
Decision decide_put(const State& state, const PutPool& command);
Decision decide_put(const State& state, const PutNode& command);
Decision decide_apply(const State& state, const Apply& command, Instant now);
Decision decide_delete(const State& state, const DeleteTier& command);
Decision decide_delete(const State& state, const DeleteTeam& command);
Decision decide_delete(const State& state, const DeletePool& command);
Decision decide_delete(const State& state, const DeleteNode& command, Instant now);
Decision decide_token(const State& state, const PutToken& command);
Decision decide_token(const State& state, const DeleteToken& command);
Decision decide_token(const State& state, const AdmitAgent& command);

/// decide() with what placing remembers, where the caller may change the state; the answer is the
/// same.
Decision decide(const State& state, const Command& command, const Actor& actor, Instant now,
                placement::NodeRankings* rankings);

// decide_leases.cpp
Decision decide_submit(const State& state, const Submit& command, const Actor& actor, Instant now,
                       placement::NodeRankings* rankings);
Decision decide_approve(const State& state, const Approve& command, Instant now,
                        placement::NodeRankings* rankings);
Decision decide_reject(const State& state, const Reject& command);
Decision decide_cancel(const State& state, const Cancel& command, const Actor& actor);
Decision decide_renew(const State& state, const Renew& command, const Actor& actor, Instant now);
Decision decide_release(const State& state, const Release& command, const Actor& actor);
Decision decide_tick(const State& state, Instant now);

/// The events that grant `spot` to a request, as the next lease of `state`.
LeaseGranted grant(const State& state, const request::Request& request, const placement::Spot& spot,
                   Instant now);
/// What placement looks at, for one team. `team` must live in `state`.
placement::World world_of(const State& state, const tenancy::Team& team,
                          placement::NodeRankings* rankings = nullptr);
/// The need of a waiting request: within the tier it was matched to.
request::Need matched_need(const request::Request& request);

// decide_use.cpp
Decision decide_use(const State& state, const RecordUse& command);

// decide_report.cpp
Decision decide_report(const State& state, const Report& command, Instant now);
Decision decide_silent(const State& state, const NodeSilent& command);
Decision decide_cordon(const State& state, const Cordon& command);
Decision decide_restore(const State& state, const Restore& command);

// decide_plans.cpp
Decision decide_plan(const State& state, const PutPlan& command, const Actor& actor, Instant now);
Decision decide_plan(const State& state, const ApplyPlan& command, Instant now);
Decision decide_plan(const State& state, const AbortPlan& command, const Actor& actor);

/// A refusal that names what does not exist.
inline std::unexpected<base::Error> unknown(const std::string& kind, const std::string& name) {
  return base::fail(base::Reason::kUnknownObject, "there is no " + kind + " \"" + name + "\"", {},
                    "see `tessera get " + kind + "s`");
}

}  // namespace tessera::control
