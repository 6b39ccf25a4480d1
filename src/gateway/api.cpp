#include "gateway/api.h"

#include <algorithm>

#include "base/check.h"
#include "gateway/auth.h"
#include "wire/problem.h"

namespace tessera::gateway {

using base::Error;
using base::Reason;
using wire::Json;

namespace {

/// The console's policy forbids every outside host; answers of the API are nobody's to cache.
void harden(HttpResponse& response) {
  response.headers.add("X-Content-Type-Options", "nosniff");
  if (response.headers.find("Cache-Control") == nullptr)
    response.headers.add("Cache-Control", "no-store");
}

/// Adds to each answer what all answers have, and times it.
class Measured final : public Exchange {
 public:
  Measured(std::shared_ptr<Exchange> inner, Metrics& metrics)
      : inner_(std::move(inner)), metrics_(metrics), begin_(std::chrono::steady_clock::now()) {}

  const HttpRequest& request() const override { return inner_->request(); }
  bool answered() const override { return inner_->answered(); }
  void after(std::chrono::milliseconds delay, std::function<void()> task) override {
    inner_->after(delay, std::move(task));
  }
  void reply(HttpResponse response) override {
    if (inner_->answered()) return;
    note(response);
    inner_->reply(std::move(response));
  }
  std::shared_ptr<ResponseStream> stream(HttpResponse head) override {
    note(head);
    return inner_->stream(std::move(head));
  }
  /// What the request turned out to be; before that it is "unknown".
  void name(std::string_view operation) { operation_ = operation; }

 private:
  void note(HttpResponse& response) {
    harden(response);
    metrics_.answered(operation_, response.status, std::chrono::steady_clock::now() - begin_);
  }

  const std::shared_ptr<Exchange> inner_;
  Metrics& metrics_;
  const std::chrono::steady_clock::time_point begin_;
  std::string_view operation_ = "unknown";
};

std::string joined(const std::vector<std::string_view>& words) {
  std::string text;
  for (const auto word : words) text += (text.empty() ? "" : ", ") + std::string(word);
  return text;
}

/// The routes of one address.
struct Match {
  const Route* route = nullptr;  ///< the one with the request's method; HEAD is a GET
  std::vector<std::string> names;
  std::vector<std::string_view> methods;  ///< all that the address knows
};

Match match(std::string_view method, const std::vector<std::string>& segments) {
  Match match;
  std::vector<std::string> names;
  for (const Route& route : routes()) {
    if (!matches(route.path, segments, names)) continue;
    match.methods.push_back(route.method);
    if (route.method == "GET") match.methods.push_back("HEAD");
    if (route.method == method || (route.method == "GET" && method == "HEAD")) {
      match.route = &route;
      match.names = names;
    }
  }
  if (!match.methods.empty()) match.methods.push_back("OPTIONS");
  return match;
}

std::optional<Error> unknown_parameter(const Route& route, const Target& target) {
  for (const auto& parameter : target.query)
    if (!route.knows(parameter.name))
      return Error{
          Reason::kInvalidDocument,
          "\"" + parameter.name + "\" is not a parameter of " + std::string(route.operation),
          parameter.name,
          route.query.empty() ? "leave it out" : "known are: " + std::string(route.query)};
  return std::nullopt;
}

}  // namespace

Api::Api(service::Engine& engine, const base::Clock& clock, ApiOptions options)
    : engine_(engine),
      clock_(clock),
      options_(std::move(options)),
      catalog_(engine.read([](const control::State& state) { return state.shared_catalog(); })),
      metrics_(engine),
      site_(options_.console),
      watch_hub_(engine, options_.watch),
      agent_desk_(engine),
      plan_desk_(engine, options_.solver) {
  metrics_.set_watchers([this] { return watch_hub_.watchers(); });
}

void Api::stop() {
  watch_hub_.stop();
  agent_desk_.stop();
  plan_desk_.stop();
}

void Api::handle(const std::shared_ptr<Exchange>& plain) {
  const auto exchange = std::make_shared<Measured>(plain, metrics_);
  const HttpRequest& request = exchange->request();
  auto target = parse_target(request.target);
  if (!target) {
    exchange->reply(problem(target.error()));
  } else if (!valid_utf8(request.body)) {
    exchange->reply(problem({Reason::kInvalidDocument, "the body is not UTF-8", "body", {}}));
  } else {
    auto found = match(request.method, target->segments);
    if (found.route != nullptr) {
      exchange->name(found.route->operation);
      call(std::make_shared<Call>(
          Call{exchange, found.route, std::move(found.names), std::move(*target), {}, false}));
    } else if (found.methods.empty()) {
      exchange->name("console");
      exchange->reply(site_.answer(request, *target));
    } else if (request.method == "OPTIONS") {
      exchange->reply({204, {{"Allow", joined(found.methods)}}, {}});
    } else {
      auto response = problem({Reason::kUnknownObject, request.method + " is not possible here",
                               "method", "possible are: " + joined(found.methods)},
                              405);
      response.headers.add("Allow", joined(found.methods));
      exchange->reply(std::move(response));
    }
  }
}

void Api::call(std::shared_ptr<Call> call) {
  const Route& route = *call->route;
  if (route.access != Access::kAnyone) {
    auto actor = caller_of(call->request());
    if (!actor) {
      auto response = problem(actor.error());
      response.headers.add("WWW-Authenticate", "Bearer realm=\"tessera\"");
      return call->reply(std::move(response));
    }
    call->actor = std::move(*actor);
    if (!permits(route.access, call->actor))
      return call->refuse({Reason::kForbidden,
                           std::string(route.operation) + " needs the role " +
                               std::string(to_string(route.access)) + "; this token's is " +
                               std::string(to_string(call->actor.role)),
                           {},
                           "use another token"});
  }
  if (const auto error = unknown_parameter(route, call->target)) return call->refuse(*error);
  const auto dry_run = flag(call->target, "dryRun");
  if (!dry_run) return call->refuse(dry_run.error());
  call->dry_run = *dry_run;
  (this->*route.handler)(call);
}

base::Result<tenancy::Actor> Api::caller_of(const HttpRequest& request) const {
  auto actor = engine_.read([&](const control::State& state) {
    return request.certificate
               ? authenticate(state, *request.certificate, clock_.now())
               : authenticate(state, request.headers.find("Authorization"), clock_.now());
  });
  const bool by_token = actor && actor->role == tenancy::Role::kAgent && !request.certificate;
  if (by_token && certificates_required_)
    return base::fail(Reason::kUnauthenticated, "an agent's token alone is not believed here",
                      "agent",
                      "let the agent join: `tessera token NAME --node NODE --join` makes what "
                      "`tessera agent --join` takes");
  return actor;
}

void Api::write(const CallPtr& call, control::Command command, Render render) {
  write(call, std::move(command), std::move(render), Condition{});
}

void Api::write(const CallPtr& call, control::Command command, Render render, Condition condition) {
  const auto refuse = [call, failed = condition.failed](const Error& error) {
    call->reply(*failed ? problem(error, 412) : problem(error));
  };
  service::Ask ask{std::move(command), call->actor, condition.check};
  if (call->dry_run) {
    const auto rehearsal = engine_.rehearse(ask);
    if (!rehearsal) return refuse(rehearsal.error());
    return call->reply(render(*rehearsal->state, rehearsal->record));
  }
  engine_.ask(std::move(ask), [this, call, render = std::move(render),
                               refuse](service::Answer answer) {
    if (!answer) return refuse(answer.error());
    // The engine's thread has better things to do than to write JSON.
    call->exchange->after({}, [this, call, render, record = std::move(*answer)] {
      call->reply(engine_.read([&](const control::State& state) { return render(state, record); }));
    });
  });
}

void Api::write_object(const CallPtr& call, control::Command command) {
  write(call, std::move(command),
        [this, call](const control::State& state, const control::Record&) {
          return object_response(state, call->route->kind, object_name(*call), 200);
        });
}

Json Api::request_json(const control::State& state, wire::RequestView view) const {
  if (!terminal(view.request.state))
    view.hints = control::explain(state, view.request.team, view.request.need).hints;
  return wire::request_object(state, view);
}

Json Api::object_json(const control::State& state, std::string_view kind,
                      std::string_view name) const {
  if (kind == "Request") {
    const auto id = wire::request_id_from(name);
    const auto* request = id ? state.find(*id) : nullptr;
    if (request == nullptr) return nullptr;
    return request_json(state, wire::view_of(state, *request));
  }
  auto object = wire::find_object(state, kind, name);
  return object ? std::move(*object) : Json(nullptr);
}

HttpResponse Api::object_response(const control::State& state, std::string_view kind,
                                  std::string_view name, int status) const {
  const Json object = object_json(state, kind, name);
  if (object.is_null())  // changed, and gone by the time of the answer
    return problem({Reason::kUnknownObject,
                    "the " + std::string(kind) + " \"" + std::string(name) + "\" is gone by now",
                    {},
                    {}});
  return fresh_response(object, status);
}

HttpResponse fresh_response(const Json& object, int status) {
  auto response = json_response(object, status);
  response.headers.add("ETag", etag_of(response.body));
  return response;
}

base::Result<bool> flag(const Target& target, std::string_view name) {
  const std::string* text = target.find(name);
  if (text == nullptr || *text == "false") return false;
  if (*text == "true") return true;
  return base::fail(Reason::kInvalidDocument,
                    "\"" + text->substr(0, 64) + "\" is neither true nor false", std::string(name));
}

std::string text_of(const Json& body) {
  return body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

HttpResponse json_response(const Json& body, int status) {
  return {status, {{"Content-Type", "application/json"}}, text_of(body)};
}

std::string etag_of(std::string_view representation) {
  return "\"" + digest_of(representation).substr(0, 32) + "\"";
}

bool names_etag(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item == "*" || item == etag) return true;
  }
  return false;
}

HttpResponse tagged_response(const Call& call, const Json& body) {
  auto response = json_response(body);
  const std::string etag = etag_of(response.body);
  const std::string* known = call.header("If-None-Match");
  if (known != nullptr && names_etag(*known, etag)) response = {304, {}, {}};
  response.headers.add("ETag", etag);
  return response;
}

std::string object_name(const Call& call) {
  CHECK(!call.names.empty());
  return call.names.size() == 1 ? call.names[0] : call.names[0] + "/" + call.names[1];
}

}  // namespace tessera::gateway
