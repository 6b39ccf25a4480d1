#include "control/decide.h"

#include "control/step.h"

namespace tessera::control {
namespace {

using base::fail;
using tenancy::Role;

/// The least role each command takes. Commands on a team's own requests check the team as well.
struct LeastRole {
  Role operator()(const Submit&) const { return Role::kMember; }
  Role operator()(const Cancel&) const { return Role::kMember; }
  Role operator()(const Renew&) const { return Role::kMember; }
  Role operator()(const Release&) const { return Role::kMember; }
  Role operator()(const Approve&) const { return Role::kOperator; }
  Role operator()(const Reject&) const { return Role::kOperator; }
  Role operator()(const Cordon&) const { return Role::kOperator; }
  Role operator()(const Restore&) const { return Role::kOperator; }
  Role operator()(const PutPlan&) const { return Role::kOperator; }
  Role operator()(const ApplyPlan&) const { return Role::kOperator; }
  Role operator()(const AbortPlan&) const { return Role::kOperator; }
  Role operator()(const Report&) const { return Role::kAgent; }
  Role operator()(const RecordUse&) const { return Role::kAgent; }
  Role operator()(const auto&) const { return Role::kAdmin; }
};

class Decider {
 public:
  Decider(const State& state, const Actor& actor, Instant now, placement::NodeRankings* rankings)
      : state_(state), actor_(actor), now_(now), rankings_(rankings) {}

  Decision operator()(const PutTier& command) const { return decide_put(state_, command); }
  Decision operator()(const PutTeam& command) const { return decide_put(state_, command); }
  Decision operator()(const PutPool& command) const { return decide_put(state_, command); }
  Decision operator()(const PutNode& command) const { return decide_put(state_, command); }
  Decision operator()(const Apply& command) const { return decide_apply(state_, command, now_); }
  Decision operator()(const DeleteTier& command) const { return decide_delete(state_, command); }
  Decision operator()(const DeleteTeam& command) const { return decide_delete(state_, command); }
  Decision operator()(const DeletePool& command) const { return decide_delete(state_, command); }
  Decision operator()(const DeleteNode& command) const {
    return decide_delete(state_, command, now_);
  }
  Decision operator()(const PutToken& command) const { return decide_token(state_, command); }
  Decision operator()(const DeleteToken& command) const { return decide_token(state_, command); }
  Decision operator()(const AdmitAgent& command) const { return decide_token(state_, command); }
  Decision operator()(const Submit& command) const {
    return decide_submit(state_, command, actor_, now_, rankings_);
  }
  Decision operator()(const Approve& command) const {
    return decide_approve(state_, command, now_, rankings_);
  }
  Decision operator()(const Reject& command) const { return decide_reject(state_, command); }
  Decision operator()(const Cancel& command) const {
    return decide_cancel(state_, command, actor_);
  }
  Decision operator()(const Renew& command) const {
    return decide_renew(state_, command, actor_, now_);
  }
  Decision operator()(const Release& command) const {
    return decide_release(state_, command, actor_);
  }
  Decision operator()(const Report& command) const {
    if (actor_.subject != command.report.node)
      return fail(Reason::kForbidden, "this agent's token is for node " + actor_.subject, "node");
    return decide_report(state_, command, now_);
  }
  Decision operator()(const RecordUse& command) const {
    if (actor_.subject != command.report.node)
      return fail(Reason::kForbidden, "this agent's token is for node " + actor_.subject, "node");
    return decide_use(state_, command);
  }
  Decision operator()(const NodeSilent& command) const { return decide_silent(state_, command); }
  Decision operator()(const Cordon& command) const { return decide_cordon(state_, command); }
  Decision operator()(const Restore& command) const { return decide_restore(state_, command); }
  Decision operator()(const PutPlan& command) const {
    return decide_plan(state_, command, actor_, now_);
  }
  Decision operator()(const ApplyPlan& command) const { return decide_plan(state_, command, now_); }
  Decision operator()(const AbortPlan& command) const {
    return decide_plan(state_, command, actor_);
  }
  Decision operator()(const Tick&) const { return decide_tick(state_, now_); }

 private:
  const State& state_;
  const Actor& actor_;
  Instant now_;
  placement::NodeRankings* rankings_;
};

}  // namespace

Decision decide(const State& state, const Command& command, const Actor& actor, Instant now) {
  return decide(state, command, actor, now, nullptr);
}

Decision decide(const State& state, const Command& command, const Actor& actor, Instant now,
                placement::NodeRankings* rankings) {
  const auto least = std::visit(LeastRole{}, command);
  if (!actor.at_least(least))
    return fail(Reason::kForbidden,
                "this takes the role " + std::string(to_string(least)) + ", " + actor.name +
                    " has " + std::string(to_string(actor.role)),
                {}, "ask an administrator for a token with that role");
  return std::visit(Decider(state, actor, now, rankings), command);
}

}  // namespace tessera::control
