#include "placement/explain.h"

#include <algorithm>

#include "control/decide.h"
#include "control/step.h"

namespace tessera::control {

namespace {

placement::Explanation explain(const State& state, std::string_view team_name,
                               const request::Need& need, const std::string& asked_tier) {
  const auto* team = state.find_team(team_name);
  if (!team) {
    placement::Explanation unknown_team;
    unknown_team.reason = Reason::kUnknownObject;
    unknown_team.message = "there is no team \"" + std::string(team_name) + "\"";
    return unknown_team;
  }
  std::vector<placement::Ending> endings;
  for (const auto& [at, id] : state.lease_ends()) {
    if (endings.size() == placement::kForecastDepth) break;
    endings.push_back({at, state.find(id)});
  }
  return placement::explain(world_of(state, *team), need, endings, asked_tier);
}

}  // namespace

placement::Explanation explain(const State& state, std::string_view team,
                               const request::Need& need) {
  return explain(state, team, need, need.tier);
}

placement::Explanation explain(const State& state, const request::Request& request) {
  auto explanation = explain(state, request.team, matched_need(request), request.need.tier);
  for (const auto& [id, plan] : state.plans()) {
    const bool planned = std::ranges::any_of(
        plan.grants, [&](const PlannedGrant& grant) { return grant.request == request.id; });
    if (planned && plan.state == PlanState::kScheduled)
      explanation.hints.push_back("plan-" + std::to_string(id.value()) +
                                  " makes room for it in the window that opens at " +
                                  base::to_string(plan.opens));
  }
  return explanation;
}

}  // namespace tessera::control
