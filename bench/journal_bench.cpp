// How fast what has happened is stored and read again. Goal: replaying a million events takes at
// most five seconds, from an SQLite file, applying included.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "control/step.h"
#include "journal/codec.h"
#include "journal/replay.h"
#include "journal/sqlite_journal.h"
#include "journal/temporary_folder.h"
#include "service/engine.h"
#include "service/engine_world.h"

namespace tessera {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kEvents = 1'000'000;
constexpr double kReplaySeconds = 5;
constexpr std::size_t kRecordsPerAppend = 1'000;

std::unique_ptr<journal::SqliteJournal> open(const journal::TemporaryFolder& folder) {
  auto journal = journal::SqliteJournal::open({folder.file("journal.db"), 0});
  CHECK(journal.has_value());
  return std::move(*journal);
}

/// Plays a busy fleet: partitions are asked for, used, given back and scrubbed, over and over; half
/// an hour passes between two rounds, so that old requests are forgotten as in real life.
class BusyFleet {
 public:
  BusyFleet() {
    step(service::small_fleet(), service::kAdmin);
    report();
  }

  /// The records of one more round.
  std::vector<control::Record> round() {
    now_ += 30min;
    std::vector<fleet::LeaseId> leases;
    for (int i = 0; i < 50; ++i) {
      step(service::small_request("training run"), service::kAdmin);
      leases.push_back(service::granted_in(records_.back()));
    }
    report();
    for (const auto lease : leases) step(control::Release{lease}, service::kAdmin);
    report();
    step(control::Tick{}, service::kAdmin);
    return std::exchange(records_, {});
  }

  const control::State& state() const { return state_; }

 private:
  void step(const control::Command& command, const tenancy::Actor& actor) {
    auto record = control::step(state_, command, actor, now_);
    CHECK_MSG(record.has_value(), base::to_string(record.error()));
    if (!record->events.empty()) records_.push_back(std::move(*record));
  }
  void report() { step(service::report_of(state_), service::kAgent); }

  control::State state_{service::shared_catalog()};
  base::Instant now_{480'000h};
  std::vector<control::Record> records_;
};

/// A file with a million events, made once.
struct LongJournal {
  journal::TemporaryFolder folder;
  std::string digest;
  std::size_t records = 0;

  LongJournal() {
    const auto journal = open(folder);
    BusyFleet fleet;
    for (std::size_t events = 0; events < kEvents;) {
      std::vector<control::Record> batch;
      while (events < kEvents && batch.size() < kRecordsPerAppend) {
        for (auto& record : fleet.round()) {
          events += record.events.size();
          batch.push_back(std::move(record));
        }
      }
      CHECK(journal->append(batch).has_value());
      records += batch.size();
    }
    digest = journal::digest(fleet.state());
  }
};

void replay_a_million_events(benchmark::State& bench) {
  static const LongJournal made;
  const auto journal = open(made.folder);
  for (auto _ : bench) {
    const auto start = std::chrono::steady_clock::now();
    const auto replayed = journal::replay(*journal, service::shared_catalog());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    bench.PauseTiming();
    CHECK(replayed.has_value());
    CHECK(journal::digest(*replayed->state) == made.digest);
    if (took.count() > kReplaySeconds) bench.SkipWithError("slower than the goal of 5 s");
    bench.ResumeTiming();
  }
  bench.counters["events/s"] = benchmark::Counter(static_cast<double>(kEvents),
                                                  benchmark::Counter::kIsIterationInvariantRate);
  bench.counters["records"] = static_cast<double>(made.records);
}
BENCHMARK(replay_a_million_events)->Unit(benchmark::kSecond)->Iterations(1)->UseRealTime();

/// Argument: records that share one durable commit.
void append_durably(benchmark::State& bench) {
  const journal::TemporaryFolder folder;
  const auto journal = open(folder);
  BusyFleet fleet;
  std::vector<control::Record> batch;
  const auto wanted = static_cast<std::size_t>(bench.range(0));
  std::vector<control::Record> ready;
  std::size_t next = 0;
  for (auto _ : bench) {
    bench.PauseTiming();
    batch.clear();
    while (batch.size() < wanted) {
      if (next == ready.size()) {
        ready = fleet.round();
        next = 0;
      }
      batch.push_back(std::move(ready[next++]));
    }
    bench.ResumeTiming();
    CHECK(journal->append(batch).has_value());
  }
  bench.SetItemsProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(append_durably)->Arg(1)->Arg(16)->Arg(256)->UseRealTime();

void decode_record(benchmark::State& bench) {
  BusyFleet fleet;
  fleet.round();
  std::vector<std::string> stored;
  std::size_t bytes = 0;
  for (const auto& record : fleet.round()) {
    stored.push_back(journal::encode(record));
    bytes += stored.back().size();
  }
  for (auto _ : bench) {
    for (const auto& one : stored) benchmark::DoNotOptimize(journal::decode_record(one));
  }
  bench.SetItemsProcessed(bench.iterations() * static_cast<std::int64_t>(stored.size()));
  bench.SetBytesProcessed(bench.iterations() * static_cast<std::int64_t>(bytes));
}
BENCHMARK(decode_record);

/// Clients that each ask, wait for the durable answer, and give back what they got.
void ask_and_release_durably(benchmark::State& bench) {
  static journal::TemporaryFolder* folder = nullptr;
  static std::unique_ptr<journal::SqliteJournal> journal;
  static std::unique_ptr<service::Engine> engine;
  static const service::ManualClock clock{base::Instant(480'000h)};
  if (bench.thread_index() == 0) {
    folder = new journal::TemporaryFolder;
    journal = open(*folder);
    engine =
        std::move(service::Engine::start(service::shared_catalog(), *journal, clock, {}).value());
    CHECK(engine->execute(service::small_fleet(), service::kAdmin).has_value());
  }
  for (auto _ : bench) {
    const auto record = engine->execute(service::small_request(), service::kAdmin);
    CHECK(record.has_value());
    const auto& submitted = std::get<control::RequestSubmitted>(record->events.front());
    CHECK(engine->execute(control::Cancel{submitted.request.id}, service::kAdmin).has_value());
  }
  bench.SetItemsProcessed(bench.iterations() * 2);
  if (bench.thread_index() == 0) {
    bench.counters["commands/commit"] =
        static_cast<double>(engine->status().asked) / static_cast<double>(engine->status().commits);
    engine.reset();
    journal.reset();
    delete folder;
  }
}
BENCHMARK(ask_and_release_durably)->Threads(1)->Threads(20)->UseRealTime();

}  // namespace
}  // namespace tessera
