// Requests through the whole control plane: over HTTP on the loopback interface, decided, stored
// durably in an SQLite file, answered. Goal: at least 1,000 a second with 20 clients.
#include <memory>
#include <string>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "client/connection.h"
#include "gateway/api.h"
#include "gateway/auth.h"
#include "gateway/http_server.h"
#include "journal/sqlite_journal.h"
#include "journal/temporary_folder.h"
#include "service/engine_world.h"
#include "wire/json.h"

namespace tessera {
namespace {

constexpr double kRequestsPerSecond = 1'000;
constexpr const char* kSecret = "tsr_bench";

/// A control plane with eight GPUs and one administrator.
class Served {
 public:
  Served() {
    auto opened = journal::SqliteJournal::open({folder_.file("journal.db"), 0});
    CHECK(opened.has_value());
    journal_ = std::move(*opened);
    auto engine = service::Engine::start(service::shared_catalog(), *journal_, clock_, {});
    CHECK(engine.has_value());
    engine_ = std::move(*engine);
    CHECK(engine_->execute(service::small_fleet(), service::kAdmin).has_value());
    const tenancy::Token token{.name = "bench",
                               .role = tenancy::Role::kAdmin,
                               .subject = {},
                               .digest = gateway::digest_of(kSecret),
                               .expires = std::nullopt};
    CHECK(engine_->execute(control::PutToken{token}, service::kAdmin).has_value());
    api_ = std::make_unique<gateway::Api>(*engine_, clock_, gateway::ApiOptions{});
    auto server =
        gateway::HttpServer::start({}, [this](const auto& exchange) { api_->handle(exchange); });
    CHECK(server.has_value());
    server_ = std::move(*server);
  }
  ~Served() {
    api_->stop();
    server_->stop();
  }

  client::Context context() const { return {{"127.0.0.1", server_->port()}, kSecret}; }

 private:
  const journal::TemporaryFolder folder_;
  const service::ManualClock clock_{base::Instant(std::chrono::hours(480'000))};
  std::unique_ptr<journal::SqliteJournal> journal_;
  std::unique_ptr<service::Engine> engine_;
  std::unique_ptr<gateway::Api> api_;
  std::unique_ptr<gateway::HttpServer> server_;
};

client::Answer ask(client::Connection& connection, const std::string& target,
                   const std::string& body = {}) {
  auto answer = connection.ask({.method = "POST", .target = target, .body = body});
  CHECK_MSG(answer.has_value(), base::to_string(answer.error()));
  return std::move(*answer);
}

/// Each client asks for a partition, waits for the durable answer, and cancels: two requests. What
/// is measured includes the clients themselves, who share the machine's cores with the server.
void ask_and_cancel_over_http(benchmark::State& bench) {
  static std::unique_ptr<Served> served;
  if (bench.thread_index() == 0) served = std::make_unique<Served>();
  std::unique_ptr<client::Connection> connection;
  for (auto _ : bench) {
    // Only inside the loop have all threads seen the first one start the server.
    if (!connection) connection = std::make_unique<client::Connection>(served->context());
    const auto made = ask(*connection, "/v1/requests",
                          R"({"spec":{"team":"vision","memory":"10GB","duration":"8h"}})");
    const std::string name = wire::Json::parse(made.body)["metadata"]["name"];
    ask(*connection, "/v1/requests/" + name + "/cancel");
  }
  bench.SetItemsProcessed(bench.iterations() * 2);
  bench.counters["goal/s"] =
      benchmark::Counter(kRequestsPerSecond, benchmark::Counter::kAvgThreads);
  if (bench.thread_index() == 0) served.reset();
}
BENCHMARK(ask_and_cancel_over_http)->Threads(1)->Threads(20)->UseRealTime();

}  // namespace
}  // namespace tessera
