#include "gateway/metrics.h"

#include <array>
#include <map>
#include <mutex>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace tessera::gateway {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

namespace {

const Histogram::BucketBoundaries kSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                              0.1,    0.25,  0.5,    1,     2.5,  5,     10};

/// Leases by state, GPUs by what can be done with them: counted in one look at the state.
struct StateCounts {
  std::map<std::string_view, int> leases;
  std::map<std::string_view, int> gpus;
  std::map<std::string_view, int> requests;
  std::uint64_t revision = 0;
};

std::string_view usable(const fleet::Node& node, const fleet::Gpu& gpu) {
  if (gpu.health == fleet::Health::kQuarantined) return "quarantined";
  if (node.phase != fleet::NodePhase::kReady) return "away";
  if (node.cordoned) return "cordoned";
  return gpu.slices.empty() ? "free" : "used";
}

StateCounts count(const control::State& state) {
  StateCounts counts;
  using request::LeaseState;
  using request::RequestState;
  for (const auto lease : {LeaseState::kProvisioning, LeaseState::kActive, LeaseState::kExpiring,
                           LeaseState::kReleasing})
    counts.leases[to_string(lease)] = 0;
  for (const auto request : {RequestState::kPendingApproval, RequestState::kQueued})
    counts.requests[to_string(request)] = 0;
  for (const char* gpu : {"free", "used", "cordoned", "away", "quarantined"}) counts.gpus[gpu] = 0;
  for (const auto& [id, lease] : state.leases())
    if (lease.state != LeaseState::kEnded) ++counts.leases[to_string(lease.state)];
  for (const auto& [id, request] : state.requests())
    if (!terminal(request.state) && !holding(request.state))
      ++counts.requests[to_string(request.state)];
  for (const auto& gpu : state.fleet().gpus())
    if (gpu.node.valid()) ++counts.gpus[usable(state.fleet().node(gpu.node), gpu)];
  counts.revision = state.revision();
  return counts;
}

/// To a total that is counted elsewhere.
void raise(Counter& counter, double total) {
  if (total > counter.Value()) counter.Increment(total - counter.Value());
}

}  // namespace

struct Metrics::Impl {
  explicit Impl(service::Engine& engine_) : engine(engine_) {}

  Family<Counter>& counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<Gauge>& gauges(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Family<Histogram>& histograms(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  service::Engine& engine;
  prometheus::Registry registry;

  Family<Counter>& requests =
      counters("tessera_http_requests_total", "Answered requests by operation and status.");
  Family<Histogram>& latency = histograms("tessera_http_request_duration_seconds",
                                          "From the whole request to its answer, by operation.");
  Counter& commits =
      counters("tessera_journal_commits_total", "Batches of records made durable.").Add({});
  Counter& commit_time =
      counters("tessera_journal_commit_seconds_total", "Time spent on making batches durable.")
          .Add({});
  Counter& asked = counters("tessera_engine_asks_total", "Asks the engine has answered.").Add({});
  Counter& refused =
      counters("tessera_engine_refusals_total", "Of these, the ones with an error.").Add({});
  Gauge& queue = gauges("tessera_engine_queue_length", "Commands that wait to be decided.").Add({});
  Gauge& revision = gauges("tessera_state_revision", "Revision of the durable state.").Add({});
  Gauge& writable =
      gauges("tessera_journal_writable", "1 if the last commit reached the journal.").Add({});
  Family<Gauge>& leases = gauges("tessera_leases", "Leases that are not over, by state.");
  Family<Gauge>& waiting = gauges("tessera_requests", "Requests without a lease, by state.");
  Family<Gauge>& gpus = gauges("tessera_gpus", "GPUs by what can be done with them.");
  Family<Gauge>& open = gauges("tessera_http_connections", "Open connections.");
  Gauge& watchers = gauges("tessera_watchers", "Open watches.").Add({});
  Family<Counter>& given_up =
      counters("tessera_http_connections_given_up_total", "Connections given up, by cause.");

  std::mutex mutex;  ///< guards the sources, and the raising of totals
  std::function<HttpCounts()> server;
  std::function<std::size_t()> watch_count;
};

Metrics::Metrics(service::Engine& engine) : impl_(std::make_unique<Impl>(engine)) {}

Metrics::~Metrics() = default;

void Metrics::answered(std::string_view operation, int status, std::chrono::nanoseconds took) {
  const std::string name(operation);
  impl_->requests.Add({{"operation", name}, {"status", std::to_string(status)}}).Increment();
  impl_->latency.Add({{"operation", name}}, kSeconds)
      .Observe(std::chrono::duration<double>(took).count());
}

void Metrics::set_server(std::function<HttpCounts()> counts) {
  const std::lock_guard lock(impl_->mutex);
  impl_->server = std::move(counts);
}

void Metrics::set_watchers(std::function<std::size_t()> count) {
  const std::lock_guard lock(impl_->mutex);
  impl_->watch_count = std::move(count);
}

std::string Metrics::text() {
  Impl& all = *impl_;
  const auto status = all.engine.status();
  const auto counts = all.engine.read(count);
  const std::lock_guard lock(all.mutex);  // of two scrapes at once, one after the other
  all.queue.Set(static_cast<double>(status.waiting));
  all.revision.Set(static_cast<double>(counts.revision));
  all.writable.Set(status.writable ? 1 : 0);
  raise(all.commits, static_cast<double>(status.commits));
  raise(all.commit_time, std::chrono::duration<double>(status.commit_time).count());
  raise(all.asked, static_cast<double>(status.asked));
  raise(all.refused, static_cast<double>(status.refused));
  const auto set = [](Family<Gauge>& family, const std::map<std::string_view, int>& values) {
    for (const auto& [state, value] : values)
      family.Add({{"state", std::string(state)}}).Set(value);
  };
  set(all.leases, counts.leases);
  set(all.waiting, counts.requests);
  set(all.gpus, counts.gpus);
  if (all.server) {
    const HttpCounts http = all.server();
    all.open.Add({}).Set(static_cast<double>(http.open));
    const std::array<std::pair<const char*, std::uint64_t>, 3> causes = {
        {{"too-many", http.turned_away},
         {"timeout", http.timed_out},
         {"malformed", http.malformed}}};
    for (const auto& [cause, value] : causes)
      raise(all.given_up.Add({{"cause", cause}}), static_cast<double>(value));
  }
  if (all.watch_count) all.watchers.Set(static_cast<double>(all.watch_count()));
  return prometheus::TextSerializer().Serialize(all.registry.Collect());
}

}  // namespace tessera::gateway
