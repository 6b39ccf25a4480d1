#include "gateway/api.h"
#include "wire/plan_resource.h"

/// Plans.
namespace tessera::gateway {

using base::Reason;
using control::Record;
using control::State;

namespace {

base::Result<control::PlanId> plan_of(const Call& call) {
  const auto id = wire::plan_id_from(call.names[0]);
  if (!id)
    return base::fail(Reason::kUnknownObject, "there is no Plan \"" + call.names[0] + "\"", {},
                      "names look like plan-3");
  return *id;
}

/// The plan a record stored.
control::PlanId put_in(const Record& record) {
  for (const auto& event : record.events)
    if (const auto* put = std::get_if<control::PlanPut>(&event)) return put->plan.id;
  return {};
}

}  // namespace

void Api::create_plan(const CallPtr& call) {
  auto order = wire::decode_plan_order(call->request().body, {.bytes = options_.max_body});
  if (!order) return call->refuse(order.error());
  plan_desk_.order(std::move(order->wish), order->time_limit,
                   [this, call](base::Result<control::Plan> plan) {
                     if (!plan) return call->refuse(plan.error());
                     answer_plan(call, std::move(*plan));
                   });
}

/// What would be stored is shown; stored only if that is what was asked for.
void Api::answer_plan(const CallPtr& call, control::Plan plan) {
  if (call->dry_run) {
    plan.author = call->actor.name;
    plan.made = clock_.now();
    return call->reply(json_response(
        engine_.read([&](const State& state) { return wire::plan_resource(state, plan); })));
  }
  write(call, control::PutPlan{std::move(plan)}, [this](const State& state, const Record& record) {
    return object_response(state, "Plan", wire::name_of(put_in(record)), 201);
  });
}

void Api::apply_plan(const CallPtr& call) {
  const auto id = plan_of(*call);
  if (!id) return call->refuse(id.error());
  write_object(call, control::ApplyPlan{*id});
}

void Api::abort_plan(const CallPtr& call) {
  const auto id = plan_of(*call);
  if (!id) return call->refuse(id.error());
  write_object(call, control::AbortPlan{*id});
}

}  // namespace tessera::gateway
