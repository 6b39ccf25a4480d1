#include "gateway/api.h"
#include "wire/document.h"
#include "wire/forecast_object.h"
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
    if (const auto* put = std::get_if<control::PlanPut>(&event)) return put->plan->id;
  return {};
}

}  // namespace

void Api::create_plan(const CallPtr& call) {
  auto order = wire::decode_plan_order(call->request().body, {.bytes = options_.max_body});
  if (!order) return call->refuse(order.error());
  order->wish.now = clock_.now();
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

namespace {

/// The parameters of a call as the map that the body of a plan's order would hold.
wire::Value values_of(const Call& call, std::initializer_list<const char*> keys) {
  wire::Value map{.kind = wire::ValueKind::kMap};
  for (const char* key : keys)
    if (const auto* text = call.query(key)) {
      const bool number = std::string_view(key) == "percentile";
      map.members.push_back(
          {key,
           0,
           {.kind = number ? wire::ValueKind::kNumber : wire::ValueKind::kText, .text = *text}});
    }
  return map;
}

}  // namespace

void Api::forecast(const CallPtr& call) {
  const auto values = values_of(*call, {"percentile", "over", "at", "for", "headroom"});
  wire::Decoder decoder{std::string()};
  const auto wish = wire::read_forecast_wish(values, {}, decoder);
  if (!decoder.ok()) return call->refuse(decoder.error().error());
  const auto made = engine_.read([&](const State& state) {
    return control::forecast(state.history(), wish, std::max(clock_.now(), state.last_change()),
                             true);
  });
  wire::Json json = wire::forecast_json(made);
  json["apiVersion"] = wire::kApiVersion;
  json["kind"] = "Forecast";
  call->reply(json_response(json));
}

void Api::history(const CallPtr& call) {
  const auto values = values_of(*call, {"over"});
  wire::Decoder decoder{std::string()};
  const auto wish = wire::read_forecast_wish(values, {}, decoder);
  if (!decoder.ok()) return call->refuse(decoder.error().error());
  call->reply(json_response(engine_.read([&](const State& state) {
    return wire::history_object(state.history(), std::max(clock_.now(), state.last_change()),
                                wish.over);
  })));
}

void Api::apply_plan(const CallPtr& call) {
  const auto id = plan_of(*call);
  if (!id) return call->refuse(id.error());
  const auto wanted =
      wire::decode_plan_application(call->request().body, {.bytes = options_.max_body});
  if (!wanted) return call->refuse(wanted.error());
  write_object(call, control::ApplyPlan{*id, wanted->window, wanted->allow_restarts});
}

void Api::abort_plan(const CallPtr& call) {
  const auto id = plan_of(*call);
  if (!id) return call->refuse(id.error());
  write_object(call, control::AbortPlan{*id});
}

}  // namespace tessera::gateway
