#include "simulation/workload.h"

#include <array>

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;
using catalog::Isolation;
using tenancy::Actor;
using tenancy::Role;

const Actor kOperator{"operator", Role::kOperator, {}};
const Actor kAdmin{"admin", Role::kAdmin, {}};

Actor member_of(const std::string& team) {
  return {"member-of-" + team, Role::kMember, team};
}

}  // namespace

Workload::Workload(Agenda& agenda, ControlPlane& control, Auditor& auditor, const FleetPlan& plan,
                   base::Random& random, FaultCounts& faults)
    : agenda_(agenda),
      control_(control),
      auditor_(auditor),
      plan_(plan),
      random_(random),
      faults_(faults) {}

void Workload::start() {
  arrive();
  approve_some();
  administrate();
}

void Workload::calm() {
  calm_ = true;
  for (const auto& node : plan_.nodes) insist(control::Cordon{node.name, false}, kOperator);
}

void Workload::insist(control::Command command, const Actor& actor, int tries) {
  const auto answer = control_.execute(command, actor);
  if (answer || answer.error().reason != base::Reason::kUnavailable || tries == 0) return;
  agenda_.after(seconds(5), [this, command = std::move(command), actor, tries] {
    insist(command, actor, tries - 1);
  });
}

void Workload::arrive() {
  if (calm_) return;
  const auto& team = plan_.teams[random_.below(plan_.teams.size())];
  submit({team, "key-" + std::to_string(next_key_++), random_need()}, 20);
  agenda_.after(seconds(5 + random_.below(120)), [this] { arrive(); });
}

request::Need Workload::random_need() {
  request::Need need;
  constexpr std::array<std::int64_t, 9> kMemory = {0, 2, 4, 5, 9, 10, 20, 40, 70};
  constexpr std::array kIsolation = {
      Isolation::kShared,    Isolation::kLimited,   Isolation::kLimited,   Isolation::kVirtual,
      Isolation::kPartition, Isolation::kPartition, Isolation::kPartition, Isolation::kDedicated};
  need.memory = base::MiB(kMemory[random_.below(kMemory.size())] * 954);
  need.isolation = kIsolation[random_.below(kIsolation.size())];
  if (random_.chance(1, 3))
    need.compute = base::MilliShare(static_cast<std::int64_t>(50 + random_.below(700)));
  else if (random_.chance(1, 6))
    need.sms = base::Sms(static_cast<std::int64_t>(5 + random_.below(60)));
  if (random_.chance(1, 5)) need.count = static_cast<int>(1 + random_.below(4));
  if (random_.chance(1, 6)) need.nodes = static_cast<int>(2 + random_.below(3));
  if (need.count > 1 && random_.chance(1, 4)) need.nvlink = request::Nvlink::kRequired;
  need.duration = std::chrono::minutes(2 + random_.below(random_.chance(1, 6) ? 110 : 25));
  if (random_.chance(1, 8)) need.duration = {};
  if (random_.chance(1, 4))
    need.cpu = base::MilliCpu(static_cast<std::int64_t>(random_.below(8000)));
  if (random_.chance(1, 4))
    need.host_memory = base::MiB(static_cast<std::int64_t>(random_.below(32 * 1024)));
  if (random_.chance(1, 8)) need.models = {plan_.models[random_.below(plan_.models.size())]};
  if (random_.chance(1, 8)) need.pool = plan_.pools[random_.below(plan_.pools.size())];
  return need;
}

void Workload::submit(const Ask& ask, int tries) {
  const auto actor = member_of(ask.team);
  const auto again = [&] {
    if (tries > 0)
      agenda_.after(seconds(2 + random_.below(10)), [this, ask, tries] { submit(ask, tries - 1); });
  };
  const control::Submit command{ask.team, "simulated work", ask.need, ask.key};
  const auto answer = control_.execute(command, actor);
  if (!answer) {
    if (answer.error().reason == base::Reason::kUnavailable) again();
    return;
  }
  if (random_.chance(1, 30)) {
    faults_.count("answer-lost");
    return again();
  }
  const auto* request = control_.state().find_by_key(actor.name, ask.key);
  if (request == nullptr) throw Violation("AcknowledgedIsKept: key " + ask.key + " leads nowhere");
  auditor_.acknowledged(*request);
  follow_up(request->id);
}

/// What the team will do about its request, some time later.
void Workload::follow_up(request::RequestId id) {
  for (auto actions = random_.below(3); actions > 0; --actions)
    agenda_.after(seconds(1 + random_.below(40 * 60)), [this, id] { act_on(id); });
}

void Workload::act_on(request::RequestId id) {
  if (!control_.up()) return agenda_.after(seconds(10), [this, id] { act_on(id); });
  const auto* request = control_.state().find(id);
  if (request == nullptr) return;
  const auto actor = member_of(request->team);
  if (random_.chance(1, 4)) return insist(control::Cancel{id}, actor);
  if (!request::holding(request->state)) return;
  if (random_.chance(1, 2)) return insist(control::Release{request->lease}, actor);
  insist(control::Renew{request->lease, std::chrono::minutes(1 + random_.below(40))}, actor);
}

void Workload::approve_some() {
  if (control_.up()) {
    std::vector<request::RequestId> pending;
    for (const auto& [id, request] : control_.state().requests())
      if (request.state == request::RequestState::kPendingApproval) pending.push_back(id);
    for (const auto id : pending) {
      if (random_.chance(1, 5))
        insist(control::Reject{id, "not this week"}, kOperator);
      else
        insist(control::Approve{id}, kOperator);
    }
  }
  agenda_.after(seconds(60 + random_.below(120)), [this] { approve_some(); });
}

/// A pool offers less for a while.
void Workload::withdraw(fleet::Pool pool) {
  if (pool.technologies.size() < 2) return;
  auto poorer = pool;
  poorer.technologies.erase(poorer.technologies.begin() +
                            static_cast<std::ptrdiff_t>(random_.below(poorer.technologies.size())));
  insist(control::PutPool{poorer}, kAdmin);
  agenda_.after(seconds(60 + random_.below(900)),
                [this, pool] { insist(control::PutPool{pool}, kAdmin); });
}

/// Cordons come and go; pools, limits and tiers change under running leases.
void Workload::administrate() {
  if (calm_) return;
  const auto& node = plan_.nodes[random_.below(plan_.nodes.size())].name;
  switch (random_.below(6)) {
    case 0:
      insist(control::Cordon{node, true}, kOperator);
      agenda_.after(seconds(60 + random_.below(900)), [this, node] {
        insist(control::Cordon{node, false}, kOperator);
      });
      break;
    case 5: {
      if (!control_.up()) break;
      const auto& fleet = control_.state().fleet();
      const auto pool = fleet.find_pool(plan_.pools[random_.below(plan_.pools.size())]);
      if (pool) withdraw(fleet.pool(*pool));
      break;
    }
    case 1:
    case 2:
      insist(control::PutTeam{random_team(plan_.teams[random_.below(plan_.teams.size())], plan_,
                                          random_)},
             kAdmin);
      break;
    default: {
      if (!control_.up()) break;
      const auto& tiers = control_.state().tiers();
      auto tier = std::next(tiers.begin(), static_cast<std::ptrdiff_t>(random_.below(tiers.size())))
                      ->second;
      tier.price = base::MicroMoney(static_cast<std::int64_t>(random_.below(5'000'000)));
      tier.notice = std::chrono::minutes(1 + random_.below(8));
      tier.max_duration = std::chrono::minutes(60 + random_.below(90));
      tier.oversubscription = static_cast<int>(2 + random_.below(4));
      tier.max_tenants = static_cast<int>(2 + random_.below(8));
      if (random_.chance(1, 6)) tier.movable = !tier.movable;
      tier.min_runtime = std::chrono::minutes(random_.below(4));
      insist(control::PutTier{std::move(tier)}, kAdmin);
    }
  }
  agenda_.after(seconds(300 + random_.below(1200)), [this] { administrate(); });
}

}  // namespace tessera::simulation
