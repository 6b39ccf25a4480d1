#include <charconv>
#include <set>

#include "gateway/api.h"
#include "gateway/auth.h"
#include "gateway/openapi.h"
#include "wire/agent_protocol.h"
#include "wire/bodies.h"
#include "wire/document.h"
#include "wire/use_protocol.h"

/// Everything that is not about one request, lease or document.
namespace tessera::gateway {

using base::Reason;
using control::Record;
using control::State;
using wire::Json;
using namespace std::chrono_literals;

namespace {

constexpr auto kLongestWait = 60s;

base::Result<std::optional<std::uint64_t>> revision_from(const std::string* text,
                                                         std::string field) {
  if (text == nullptr) return std::nullopt;
  std::uint64_t revision = 0;
  const auto [next, error] = std::from_chars(text->data(), text->data() + text->size(), revision);
  if (error != std::errc{} || next != text->data() + text->size())
    return base::fail(Reason::kInvalidQuantity, "\"" + text->substr(0, 64) + "\" is not a revision",
                      std::move(field), "pass metadata.revision of a list, or an event's id");
  return revision;
}

base::Result<std::set<std::string>> kinds_from(const std::string* text) {
  std::set<std::string> kinds;
  if (text == nullptr) return kinds;
  for (std::string_view rest = *text; !rest.empty();) {
    const auto comma = std::min(rest.find(','), rest.size());
    const std::string_view kind = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (!WatchHistory::follows(kind))
      return base::fail(Reason::kInvalidDocument,
                        "\"" + std::string(kind.substr(0, 64)) + "\" cannot be watched", "kinds",
                        "known are: Tier, Team, Pool, Node, Gpu, Request, Lease, Plan");
    kinds.emplace(kind);
  }
  return kinds;
}

HttpResponse text_response(std::string text, int status = 200) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(text) + "\n"};
}

}  // namespace

void Api::capacity(const CallPtr& call) {
  call->reply(json_response(engine_.read([](const State& state) {
    return wire::capacity_object(placement::capacity_of(
        state.catalog(), state.fleet(), state.index(), state.tiers(), state.use_by_tier()));
  })));
}

void Api::watch(const CallPtr& call) {
  // A resumed stream names the last event it saw; its address still says where it once began.
  const std::string* last = call->header("Last-Event-ID");
  const auto since = last != nullptr ? revision_from(last, "Last-Event-ID")
                                     : revision_from(call->query("since"), "since");
  if (!since) return call->refuse(since.error());
  auto kinds = kinds_from(call->query("kinds"));
  if (!kinds) return call->refuse(kinds.error());
  if (call->request().method == "HEAD")
    return call->reply({200, {{"Content-Type", "text/event-stream"}}, {}});
  const auto admitted = watch_hub_.admit(call->exchange, *since, std::move(*kinds));
  if (!admitted) call->refuse(admitted.error());
}

void Api::report(const CallPtr& call) {
  const std::string node = call->names[0];
  const auto since = revision_from(call->query("since"), "since");
  if (!since) return call->refuse(since.error());
  base::Duration wait{};
  if (const std::string* text = call->query("wait")) {
    const auto parsed = base::parse_duration(*text);
    if (!parsed) return call->refuse(parsed.error());
    wait = std::min<base::Duration>(*parsed, kLongestWait);
  }
  auto report =
      wire::decode_report(call->request().body, {.bytes = options_.max_body, .depth = 16});
  if (!report) return call->refuse(report.error());
  if (report->node != node)
    return call->refuse({Reason::kInvalidDocument,
                         "the address names node \"" + node + "\", the report another",
                         "node",
                         {}});
  const auto incarnation = report->target_incarnation;
  const auto heard = report->heard_process;
  service::Ask ask{control::Report{std::move(*report)}, call->actor, {}};
  const fleet::Moment known{incarnation, since->value_or(0)};
  engine_.ask(std::move(ask), [this, call, node, known, heard, wait](service::Answer answer) {
    if (!answer) return call->refuse(answer.error());
    call->exchange->after({}, [this, call, node, known, heard, wait] {
      agent_desk_.answer(call->exchange, node, known, heard, wait);
    });
  });
}

void Api::record_use(const CallPtr& call) {
  auto report =
      wire::decode_use_report(call->request().body, {.bytes = options_.max_body, .depth = 16});
  if (!report) return call->refuse(report.error());
  if (report->node != call->names[0])
    return call->refuse({Reason::kInvalidDocument,
                         "the address names node \"" + call->names[0] + "\", the report another",
                         "node",
                         {}});
  const auto node = report->node;
  const auto stream = report->stream;
  engine_.ask({control::RecordUse{std::move(*report)}, call->actor, {}},
              [this, call, node, stream](service::Answer answer) {
                if (!answer) return call->refuse(answer.error());
                // Not on the engine's thread, which must not read what it is about to change.
                call->exchange->after({}, [this, call, node, stream] {
                  const auto counted = engine_.read(
                      [&](const State& state) { return state.use_counted(node, stream); });
                  call->reply(json_response(wire::encode(fleet::UseReceipt{stream, counted})));
                });
              });
}

void Api::create_token(const CallPtr& call) {
  const auto wish = wire::decode_token_wish(call->request().body, {.bytes = options_.max_body});
  if (!wish) return call->refuse(wish.error());
  if (wish->join && !authority_) return call->refuse(nobody_joins());
  const std::string secret =
      call->dry_run ? std::string() : new_secret(wish->join ? "tsj_" : "tsr_");
  tenancy::Token token{.name = wish->name,
                       .role = wish->role,
                       .subject = wish->subject,
                       .digest = wish->join ? join_digest(secret) : digest_of(secret),
                       .expires = std::nullopt};
  if (wish->expires_in) token.expires = clock_.now() + *wish->expires_in;
  Condition condition;
  condition.check = [name = wish->name](const State& state) -> base::Result<void> {
    // Replacing it would lock out whoever uses the old secret.
    if (!state.tokens().contains(name)) return {};
    return base::fail(Reason::kAlreadyExists, "there is a Token \"" + name + "\" already", "name",
                      "delete it first, or choose another name");
  };
  write(
      call, control::PutToken{token},
      [call, token, secret](const State&, const Record&) {
        Json object = wire::token_object(token);
        if (!secret.empty()) object["status"]["secret"] = secret;
        return json_response(object, call->dry_run ? 200 : 201);
      },
      condition);
}

void Api::whoami(const CallPtr& call) {
  call->reply(json_response({{"apiVersion", wire::kApiVersion},
                             {"kind", "Whoami"},
                             {"name", call->actor.name},
                             {"role", to_string(call->actor.role)},
                             {"subject", call->actor.subject}}));
}

void Api::version(const CallPtr& call) {
  call->reply(json_response(
      {{"apiVersion", wire::kApiVersion}, {"kind", "Version"}, {"version", options_.version}}));
}

void Api::openapi(const CallPtr& call) {
  call->reply(tagged_response(*call, openapi_document()));
}

void Api::healthz(const CallPtr& call) {
  call->reply(text_response("ok"));
}

void Api::readyz(const CallPtr& call) {
  const auto status = engine_.status();
  if (!status.writable)
    return call->refuse({Reason::kUnavailable,
                         "the journal takes no writes: " + status.trouble,
                         {},
                         "free disk space or look at the server's log; reads go on"});
  call->reply(text_response("ready at revision " + std::to_string(status.revision)));
}

void Api::show_metrics(const CallPtr& call) {
  call->reply(
      {200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics_.text()});
}

}  // namespace tessera::gateway
