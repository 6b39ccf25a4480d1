#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "gateway/agent_desk.h"
#include "gateway/metrics.h"
#include "gateway/route.h"
#include "gateway/site.h"
#include "gateway/watch_hub.h"
#include "service/engine.h"
#include "service/plan_desk.h"
#include "tls/authority.h"
#include "wire/json.h"
#include "wire/objects.h"

namespace tessera::gateway {

struct ApiOptions {
  std::string version = "0.0.0";    ///< of the program, as /v1/version says it
  std::vector<StaticFile> console;  ///< empty: there is no console
  std::size_t max_body = 1 << 20;   ///< as the server's; bodies are parsed within it
  WatchOptions watch;
  planning::SolverFactory solver;  ///< empty: plans are not computed here
};

/// docs/api.md over HTTP: routes, authenticates, decodes, asks the engine, encodes.
///
/// Threads: handle() from any; handlers never wait for the journal, they answer when the engine
/// does. Dry runs work on a copy of the state and are the one thing that takes a server thread's
/// time. Engine and clock must outlive the Api; the Api must outlive the server that calls it.
class Api {
 public:
  Api(service::Engine& engine, const base::Clock& clock, ApiOptions options);

  /// The Handler of an HttpServer.
  void handle(const std::shared_ptr<Exchange>& exchange);
  /// Ends watches and long polls, so that the server can stop at once.
  void stop();

  /// Lets agents join with certificates of `authority`, and believes no others where that is
  /// `required`. Before the first request.
  void admit_agents(std::shared_ptr<tls::Authority> authority, bool required);

  Metrics& metrics() { return metrics_; }

  // The operations, named as in routes.cpp. api_objects.cpp:
  void list(const CallPtr& call);
  void get(const CallPtr& call);
  void put(const CallPtr& call);
  void remove(const CallPtr& call);
  void apply(const CallPtr& call);
  void cordon(const CallPtr& call);
  void uncordon(const CallPtr& call);
  void restore(const CallPtr& call);
  // api_requests.cpp:
  void submit(const CallPtr& call);
  void explain_request(const CallPtr& call);
  void explain_need(const CallPtr& call);
  void cancel(const CallPtr& call);
  void approve(const CallPtr& call);
  void reject(const CallPtr& call);
  void release(const CallPtr& call);
  void renew(const CallPtr& call);
  // api_plans.cpp:
  void create_plan(const CallPtr& call);
  void forecast(const CallPtr& call);
  void history(const CallPtr& call);
  void apply_plan(const CallPtr& call);
  void abort_plan(const CallPtr& call);
  // api_join.cpp:
  void join(const CallPtr& call);
  void renew_certificate(const CallPtr& call);
  // api_system.cpp:
  void capacity(const CallPtr& call);
  void watch(const CallPtr& call);
  void report(const CallPtr& call);
  void record_use(const CallPtr& call);
  void create_token(const CallPtr& call);
  void whoami(const CallPtr& call);
  void version(const CallPtr& call);
  void openapi(const CallPtr& call);
  void healthz(const CallPtr& call);
  void readyz(const CallPtr& call);
  void show_metrics(const CallPtr& call);

 private:
  /// What to answer once a write is durable (or rehearsed): from the state after it.
  using Render = std::function<HttpResponse(const control::State&, const control::Record&)>;
  /// What must hold right before a write, and what its answer has to know of the time before it.
  struct Condition {
    service::Precondition check;
    /// Set by `check` when the write is refused with 412 rather than 409.
    std::shared_ptr<bool> failed = std::make_shared<bool>(false);
  };

  void route(const std::shared_ptr<Exchange>& exchange, Target target);
  void call(std::shared_ptr<Call> call);
  /// By the connection's certificate where there is one, else by the token that was sent.
  base::Result<tenancy::Actor> caller_of(const HttpRequest& request) const;
  /// Asks the engine for one command, or rehearses it if the call is a dry run, and answers.
  void write(const CallPtr& call, control::Command command, Render render);
  void write(const CallPtr& call, control::Command command, Render render, Condition condition);
  /// The commands of one call on an object: answers with the object as it is then.
  void write_object(const CallPtr& call, control::Command command);
  /// The object a call is about, in the state after it.
  HttpResponse object_response(const control::State& state, std::string_view kind,
                               std::string_view name, int status) const;
  wire::Json object_json(const control::State& state, std::string_view kind,
                         std::string_view name) const;
  /// A request with the hints that explaining it gives.
  wire::Json request_json(const control::State& state, wire::RequestView view) const;
  /// Stores a plan that was computed for a call, unless it is a dry run, and answers.
  void answer_plan(const CallPtr& call, control::Plan plan);
  /// The answer that submitting would get now.
  HttpResponse submit_answer(const control::State& state, const tenancy::Actor& actor,
                             const control::Submit& submit) const;

  service::Engine& engine_;
  const base::Clock& clock_;
  const ApiOptions options_;
  const std::shared_ptr<const catalog::Catalog> catalog_;
  Metrics metrics_;
  Site site_;
  WatchHub watch_hub_;
  AgentDesk agent_desk_;
  service::PlanDesk plan_desk_;
  std::shared_ptr<tls::Authority> authority_;  ///< null: nobody joins here
  bool certificates_required_ = false;         ///< of agents
};

/// A parameter that is true or false; false where it is absent.
base::Result<bool> flag(const Target& target, std::string_view name);

/// A JSON answer.
HttpResponse json_response(const wire::Json& body, int status = 200);
/// The same with an ETag.
HttpResponse fresh_response(const wire::Json& object, int status = 200);
/// The same with an ETag, or 304 where `call` has that representation already.
HttpResponse tagged_response(const Call& call, const wire::Json& body);
/// Strong: the first 128 bits of the SHA-256 of the representation, in quotes.
std::string etag_of(std::string_view representation);
/// Whether a list of ETags as in If-Match or If-None-Match names `etag`, or is "*".
bool names_etag(std::string_view list, std::string_view etag);
/// The JSON text of an answer: one line that ends with a newline.
std::string text_of(const wire::Json& body);

/// Where no certificates are made.
base::Error nobody_joins();

/// The name of the object that a call's address is about: "node-1", "node-1/3".
std::string object_name(const Call& call);

}  // namespace tessera::gateway
