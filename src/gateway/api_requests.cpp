#include "control/prospect.h"
#include "gateway/api.h"
#include "wire/bodies.h"
#include "wire/document.h"

/// Requests and leases.
namespace tessera::gateway {

using base::Error;
using base::Reason;
using control::Record;
using control::State;
using wire::Json;

namespace {

constexpr std::size_t kLongestKey = 128;

Error no_such(std::string_view kind, std::string_view name, std::string_view shape) {
  return {Reason::kUnknownObject,
          "there is no " + std::string(kind) + " \"" + std::string(name) + "\"",
          {},
          "names look like " + std::string(shape)};
}

base::Result<request::RequestId> request_of(const Call& call) {
  const auto id = wire::request_id_from(call.names[0]);
  if (!id) return std::unexpected(no_such("Request", call.names[0], "req-481"));
  return *id;
}

base::Result<fleet::LeaseId> lease_of(const Call& call) {
  const auto id = wire::lease_id_from(call.names[0]);
  if (!id) return std::unexpected(no_such("Lease", call.names[0], "lease-77"));
  return *id;
}

/// The request a record submitted; none when the record changed nothing.
request::RequestId submitted_in(const Record& record) {
  for (const auto& event : record.events)
    if (const auto* submitted = std::get_if<control::RequestSubmitted>(&event))
      return submitted->request.id;
  return {};
}

/// When a waiting request could start, from the declared ends of leases.
std::optional<base::Instant> eta_of(const placement::Explanation& explanation) {
  for (const auto& alternative : explanation.alternatives)
    if (alternative.kind == placement::Alternative::Kind::kLater) return alternative.at;
  return std::nullopt;
}

}  // namespace

void Api::submit(const CallPtr& call) {
  auto submit = wire::decode_request(call->request().body, *catalog_, {.bytes = options_.max_body});
  if (!submit) return call->refuse(submit.error());
  if (const std::string* key = call->header("Idempotency-Key")) {
    if (key->empty() || key->size() > kLongestKey || !valid_utf8(*key))
      return call->refuse({Reason::kInvalidDocument, "the key is empty or too long",
                           "Idempotency-Key", "use at most 128 characters"});
    submit->idempotency_key = *key;
  }
  if (call->dry_run) {
    return call->reply(engine_.read(
        [&](const State& state) { return submit_answer(state, call->actor, *submit); }));
  }
  const std::string key = submit->idempotency_key;
  write(call, std::move(*submit), [this, call, key](const State& state, const Record& record) {
    const auto made = submitted_in(record);
    const auto* request =
        made.valid() ? state.find(made) : state.find_by_key(call->actor.name, key);
    if (request == nullptr)
      return problem(
          {Reason::kInternal, "the request vanished", {}, "look at the list of requests"});
    return object_response(state, "Request", wire::name_of(request->id), made.valid() ? 201 : 200);
  });
}

// People ask while they type: an answer that needs no copy of the state costs the same in a fleet
// of any size.
HttpResponse Api::submit_answer(const State& state, const tenancy::Actor& actor,
                                const control::Submit& submit) const {
  const auto events = control::decide(state, submit, actor, clock_.now());
  if (!events) return problem(events.error());
  const auto prospect = control::prospect_of(*events);
  if (!prospect) {
    const auto* before = state.find_by_key(actor.name, submit.idempotency_key);
    return object_response(state, "Request", wire::name_of(before->id), 200);
  }
  const auto& request = prospect->request;
  const bool waits = request.state == request::RequestState::kQueued;
  return fresh_response(
      request_json(state, {.request = request,
                           .lease = prospect->lease ? &*prospect->lease : nullptr,
                           .position = waits ? state.waiting().last_position(request.tier) : 0}));
}

void Api::explain_request(const CallPtr& call) {
  const auto id = request_of(*call);
  if (!id) return call->refuse(id.error());
  auto explained = engine_.read([&](const State& state) -> base::Result<Json> {
    const auto* request = state.find(*id);
    if (request == nullptr) return std::unexpected(no_such("Request", call->names[0], "req-481"));
    const bool waits = request->state == request::RequestState::kQueued;
    const auto explanation = waits ? control::explain(state, *request)
                                   : control::explain(state, request->team, request->need);
    const wire::Outlook outlook{waits ? state.waiting().position(*request) : 0,
                                waits ? eta_of(explanation) : std::nullopt};
    return wire::explanation_object(state, explanation, outlook);
  });
  if (!explained) return call->refuse(explained.error());
  call->reply(json_response(*explained));
}

void Api::explain_need(const CallPtr& call) {
  const auto submit =
      wire::decode_request(call->request().body, *catalog_, {.bytes = options_.max_body});
  if (!submit) return call->refuse(submit.error());
  auto explained = engine_.read([&](const State& state) -> base::Result<Json> {
    if (state.find_team(submit->team) == nullptr)
      return base::fail(Reason::kUnknownObject, "there is no Team \"" + submit->team + "\"",
                        "spec.team");
    const auto explanation = control::explain(state, submit->team, submit->need);
    return wire::explanation_object(state, explanation, {0, eta_of(explanation)});
  });
  if (!explained) return call->refuse(explained.error());
  call->reply(json_response(*explained));
}

void Api::cancel(const CallPtr& call) {
  const auto id = request_of(*call);
  if (!id) return call->refuse(id.error());
  write_object(call, control::Cancel{*id});
}

void Api::approve(const CallPtr& call) {
  const auto id = request_of(*call);
  if (!id) return call->refuse(id.error());
  write_object(call, control::Approve{*id});
}

void Api::reject(const CallPtr& call) {
  const auto id = request_of(*call);
  if (!id) return call->refuse(id.error());
  const auto message = wire::decode_rejection(call->request().body, {.bytes = options_.max_body});
  if (!message) return call->refuse(message.error());
  write_object(call, control::Reject{*id, *message});
}

void Api::release(const CallPtr& call) {
  const auto id = lease_of(*call);
  if (!id) return call->refuse(id.error());
  write_object(call, control::Release{*id});
}

void Api::renew(const CallPtr& call) {
  const auto id = lease_of(*call);
  if (!id) return call->refuse(id.error());
  const auto extra = wire::decode_renewal(call->request().body, {.bytes = options_.max_body});
  if (!extra) return call->refuse(extra.error());
  write_object(call, control::Renew{*id, *extra});
}

}  // namespace tessera::gateway
