#include "service/engine.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/invariants.h"
#include "journal/memory_journal.h"
#include "service/engine_world.h"

namespace tessera::service {
namespace {

using namespace std::chrono_literals;
using journal::MemoryJournal;

/// A journal whose disk can be stopped (appends wait, at most ten seconds) or refuse to write.
class StoppableJournal final : public journal::Journal {
 public:
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  void go_on() {
    const std::lock_guard lock(mutex_);
    stopped_ = false;
    changed_.notify_all();
  }
  void refuse(bool refusing) { refusing_ = refusing; }
  int appends() const { return appends_; }
  bool wait_until_held() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return held_; });
  }

  base::Result<void> append(std::span<const control::Record> records) override {
    {
      std::unique_lock lock(mutex_);
      held_ = stopped_;
      changed_.notify_all();
      changed_.wait_for(lock, 10s, [&] { return !stopped_; });
      held_ = false;
    }
    ++appends_;
    if (refusing_) return base::fail(base::Reason::kUnavailable, "refused");
    return memory_.append(records);
  }
  base::Result<std::uint64_t> last_revision() override { return memory_.last_revision(); }
  base::Result<void> read(std::uint64_t from, const journal::RecordReader& reader) override {
    return memory_.read(from, reader);
  }
  base::Result<std::optional<journal::Snapshot>> latest_snapshot() override {
    return memory_.latest_snapshot();
  }
  base::Result<void> write_snapshot(std::uint64_t revision, std::string_view bytes) override {
    return memory_.write_snapshot(revision, bytes);
  }
  std::string name() const override { return "stoppable"; }

 private:
  MemoryJournal memory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  bool held_ = false;
  std::atomic<bool> refusing_ = false;
  std::atomic<int> appends_ = 0;
};

template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 5'000 && !condition(); ++i) std::this_thread::sleep_for(1ms);
  return condition();
}

std::string digest_of(const Engine& engine) {
  return engine.read([](const control::State& state) { return journal::digest(state); });
}

template <class Journal>
class EngineOn : public testing::Test {
 protected:
  explicit EngineOn(EngineOptions options = quick_options()) : options_(std::move(options)) {
    start();
    must(small_fleet());
    report();
  }

  void start() {
    engine_.reset();
    auto started = Engine::start(shared_catalog(), journal_, clock_, options_);
    ASSERT_TRUE(started.has_value()) << base::to_string(started.error());
    engine_ = std::move(*started);
  }
  control::Record must(control::Command command, const tenancy::Actor& actor = kAdmin) {
    auto record = engine_->execute(std::move(command), actor);
    EXPECT_TRUE(record.has_value()) << base::to_string(record.error());
    return record ? std::move(*record) : control::Record{};
  }
  void report() {
    must(engine_->read([](const control::State& state) { return report_of(state); }), kAgent);
  }
  std::uint64_t revision() const {
    return engine_->read([](const control::State& state) { return state.revision(); });
  }
  std::size_t requests() const {
    return engine_->read([](const control::State& state) { return state.requests().size(); });
  }
  fleet::NodePhase node_phase() const {
    return engine_->read([](const control::State& state) {
      return state.fleet().node(*state.fleet().find_node(kNode)).phase;
    });
  }
  /// Everything that must hold of engine and journal once nothing is going on.
  void expect_replay_agrees() {
    auto replayed = journal::replay(journal_, shared_catalog());
    ASSERT_TRUE(replayed.has_value()) << base::to_string(replayed.error());
    EXPECT_EQ(journal::digest(*replayed->state), digest_of(*engine_));
  }

  Journal journal_;
  ManualClock clock_{base::Instant(std::chrono::hours(480'000))};
  EngineOptions options_;
  std::unique_ptr<Engine> engine_;
};

using EngineTest = EngineOn<MemoryJournal>;
using StoppedDiskTest = EngineOn<StoppableJournal>;

TEST_F(EngineTest, AnAnsweredRequestIsGrantedVisibleAndStored) {
  const auto record = must(small_request());
  const auto lease = granted_in(record);
  EXPECT_TRUE(lease.valid());
  EXPECT_EQ(revision(), record.revision);
  EXPECT_EQ(journal_.last_revision(), record.revision);
  report();
  EXPECT_TRUE(engine_->read([&](const control::State& state) {
    return state.find(lease)->state == request::LeaseState::kActive;
  }));
  expect_replay_agrees();
}

TEST_F(EngineTest, ARefusalChangesNothing) {
  const auto before = digest_of(*engine_);
  auto submit = small_request();
  submit.team = "nobody";
  const auto refused = engine_->execute(submit, kAdmin);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, base::Reason::kUnknownObject);
  EXPECT_EQ(digest_of(*engine_), before);
}

TEST_F(EngineTest, ACommandWithoutEffectStoresNothing) {
  auto submit = small_request();
  submit.idempotency_key = "once";
  const auto first = must(submit);
  const auto second = must(submit);
  EXPECT_TRUE(second.events.empty());
  EXPECT_EQ(second.revision, first.revision);
  EXPECT_EQ(requests(), 1U);
}

TEST_F(EngineTest, TwentyThreadsShareTheFleetAndTheCommits) {
  constexpr int kThreads = 20;
  constexpr int kEach = 10;
  std::atomic<bool> done = false;
  std::thread reader([&] {
    std::uint64_t last = 0;
    while (!done) {
      const std::uint64_t now = revision();
      EXPECT_GE(now, last);
      EXPECT_LE(now, journal_.last_revision().value()) << "seen before it was durable";
      last = now;
    }
  });
  std::mutex mutex;
  std::set<fleet::LeaseId> granted;
  std::set<std::uint64_t> revisions;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kEach; ++k) {
        const auto record = must(small_request());
        const std::lock_guard lock(mutex);
        EXPECT_TRUE(revisions.insert(record.revision).second);
        const auto lease = granted_in(record);
        EXPECT_TRUE(!lease.valid() || granted.insert(lease).second);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  done = true;
  reader.join();
  EXPECT_EQ(requests(), static_cast<std::size_t>(kThreads * kEach));
  EXPECT_EQ(granted.size(), 56U) << "seven 1g.10gb on each of eight GPUs";
  engine_->read([&](const control::State& state) {
    for (const auto lease : granted) EXPECT_NE(state.find(lease), nullptr);
    for (const auto& invariant : control::all_invariants()) {
      EXPECT_EQ(invariant->check(state, {}), std::nullopt) << invariant->name();
    }
  });
  expect_replay_agrees();
}

TEST_F(StoppedDiskTest, NothingIsVisibleBeforeItIsDurableAndReadersDoNotWait) {
  const auto before = revision();
  journal_.stop();
  std::atomic<bool> answered = false;
  engine_->ask({small_request(), kAdmin, {}}, [&](const Answer& answer) {
    EXPECT_TRUE(answer.has_value());
    answered = true;
  });
  ASSERT_TRUE(journal_.wait_until_held());
  EXPECT_EQ(revision(), before);
  EXPECT_EQ(requests(), 0U);
  EXPECT_FALSE(answered);
  journal_.go_on();
  EXPECT_TRUE(eventually([&] { return answered.load(); }));
  EXPECT_EQ(requests(), 1U);
}

TEST_F(StoppedDiskTest, AsksThatArriveMeanwhileShareOneCommit) {
  journal_.stop();
  std::atomic<int> answered = 0;
  const auto ask = [&] {
    engine_->ask({small_request(), kAdmin, {}}, [&](const Answer&) { ++answered; });
  };
  ask();
  ASSERT_TRUE(journal_.wait_until_held());
  const auto commits = engine_->status().commits;
  for (int i = 0; i < 30; ++i) ask();
  journal_.go_on();
  EXPECT_TRUE(eventually([&] { return answered == 31; }));
  EXPECT_EQ(engine_->status().commits, commits + 2);
}

class SmallQueueTest : public StoppedDiskTest {
 protected:
  SmallQueueTest() : StoppedDiskTest(options()) {}
  static EngineOptions options() {
    EngineOptions options = quick_options();
    options.queue_limit = 3;
    options.answer_limit = 2s;
    return options;
  }
};

TEST_F(SmallQueueTest, AFullQueueAndAStuckDiskAreSaidSoon) {
  journal_.stop();
  std::atomic<int> answered = 0;
  const auto ask = [&] {
    engine_->ask({small_request(), kAdmin, {}}, [&](const Answer& answer) {
      EXPECT_TRUE(answer.has_value());
      ++answered;
    });
  };
  ask();
  ASSERT_TRUE(journal_.wait_until_held());
  ask();
  ask();
  const auto late = engine_->execute(small_request(), kAdmin);
  ASSERT_FALSE(late.has_value());
  EXPECT_THAT(late.error().what, testing::HasSubstr("no answer within"));
  const auto full = engine_->execute(small_request(), kAdmin);
  ASSERT_FALSE(full.has_value());
  EXPECT_THAT(full.error().what, testing::HasSubstr("already waiting"));
  EXPECT_EQ(full.error().reason, base::Reason::kUnavailable);
  journal_.go_on();
  EXPECT_TRUE(eventually([&] { return answered == 3 && requests() == 4; }));
}

TEST_F(EngineTest, AFailedAppendIsUndoneAndTheNextAskTriesAgain) {
  for (const auto fault : {MemoryJournal::Fault::kRefused, MemoryJournal::Fault::kTorn}) {
    const auto before = digest_of(*engine_);
    journal_.fail_next_append(fault);
    const auto refused = engine_->execute(small_request(), kAdmin);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().reason, base::Reason::kUnavailable);
    EXPECT_EQ(digest_of(*engine_), before);
    EXPECT_FALSE(engine_->status().writable);
    EXPECT_TRUE(granted_in(must(small_request())).valid());
    EXPECT_TRUE(engine_->status().writable);
    expect_replay_agrees();
  }
}

TEST_F(EngineTest, WhatTheJournalHoldsAfterAllCounts) {
  journal_.fail_next_append(MemoryJournal::Fault::kUnheard);
  const auto record = must(small_request());
  EXPECT_EQ(requests(), 1U);
  EXPECT_EQ(revision(), record.revision);
  must(small_request());
  expect_replay_agrees();
}

TEST_F(EngineTest, ReadsGoOnWhileTheDiskIsAway) {
  must(small_request());
  journal_.set_away(true);
  for (int i = 0; i < 3; ++i) {
    const auto refused = engine_->execute(small_request(), kAdmin);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().reason, base::Reason::kUnavailable);
    EXPECT_EQ(requests(), 1U);
  }
  journal_.set_away(false);
  must(small_request());
  EXPECT_EQ(requests(), 2U);
  expect_replay_agrees();
}

TEST_F(EngineTest, AFullDiskRefusesUntilThereIsRoom) {
  journal_.set_capacity(journal_.log().size() + 100);
  const auto refused = engine_->execute(small_request(), kAdmin);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().what, testing::HasSubstr("full"));
  journal_.set_capacity(1 << 20);
  must(small_request());
  expect_replay_agrees();
}

TEST_F(EngineTest, APreconditionIsCheckedOnTheStateThatDecides) {
  const auto only_first = [](const control::State& state) -> base::Result<void> {
    if (state.requests().empty()) return {};
    return base::fail(base::Reason::kConflict, "there is one already");
  };
  std::atomic<int> accepted = 0;
  std::atomic<int> refused = 0;
  for (int i = 0; i < 50; ++i) {
    engine_->ask({small_request(), kAdmin, only_first},
                 [&](const Answer& answer) { ++(answer ? accepted : refused); });
  }
  EXPECT_TRUE(eventually([&] { return accepted + refused == 50; }));
  EXPECT_EQ(accepted, 1);
}

TEST_F(EngineTest, DryRunsLeaveNoTrace) {
  const auto before = digest_of(*engine_);
  const auto rehearsal = engine_->rehearse({small_request(), kAdmin, {}});
  ASSERT_TRUE(rehearsal.has_value());
  const auto lease = granted_in(rehearsal->record);
  EXPECT_NE(rehearsal->state->find(lease), nullptr);
  EXPECT_EQ(digest_of(*engine_), before);
  EXPECT_EQ(granted_in(must(small_request())), lease) << "and they tell the truth";
}

TEST_F(EngineTest, LeasesEndWhenTheirTimeIsUp) {
  const auto lease = granted_in(must(small_request()));
  report();
  clock_.advance(8h);
  EXPECT_TRUE(eventually([&] {
    return engine_->read([&](const control::State& state) {
      return state.find(lease)->state == request::LeaseState::kReleasing;
    });
  }));
  report();
  expect_replay_agrees();
}

TEST_F(StoppedDiskTest, WhatIsDueIsNotTriedInATightLoopWhileTheDiskRefuses) {
  const auto lease = granted_in(must(small_request()));
  report();
  journal_.refuse(true);
  const int before = journal_.appends();
  clock_.advance(8h);
  ASSERT_TRUE(eventually([&] { return journal_.appends() > before; }));
  const auto begin = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(50ms);
  const auto tries = journal_.appends() - before;
  EXPECT_LE(tries, (std::chrono::steady_clock::now() - begin) / options_.idle_wait + 10);
  journal_.refuse(false);
  EXPECT_TRUE(eventually([&] {
    return engine_->read([&](const control::State& state) {
      return state.find(lease)->state == request::LeaseState::kReleasing;
    });
  }));
}

TEST_F(EngineTest, ASilentNodeIsLostAndComesBack) {
  ASSERT_EQ(node_phase(), fleet::NodePhase::kReady);
  const auto pass = [&](base::Duration by) {
    clock_.advance(by);
    std::this_thread::sleep_for(30ms);  // several looks at the clock
  };
  for (int i = 0; i < 5; ++i) {
    pass(10s);
    report();  // within the grace, so it stays
    EXPECT_EQ(node_phase(), fleet::NodePhase::kReady);
  }
  // Steps of ten seconds, as many as it takes: a leap would count as the engine's own absence.
  for (int i = 0; i < 200 && node_phase() == fleet::NodePhase::kReady; ++i) pass(10s);
  EXPECT_EQ(node_phase(), fleet::NodePhase::kLost);
  report();
  EXPECT_EQ(node_phase(), fleet::NodePhase::kReady);
}

TEST_F(EngineTest, WatchersSeeEveryChangeWithItsObjects) {
  const auto from = engine_->feed().newest();
  const auto record = must(small_request());
  ASSERT_TRUE(engine_->feed().wait_after(from, 1s));
  const auto changes = engine_->feed().after(from, 100).value();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes.front()->record.revision, record.revision);
  EXPECT_THAT(changes.front()->touched,
              testing::IsSupersetOf({control::ObjectRef{"Request", "req-1"},
                                     control::ObjectRef{"Lease", "lease-1"}}));
}

TEST_F(EngineTest, ADeletedNodeTakesItsGpusAlong) {
  const auto from = engine_->feed().newest();
  must(control::DeleteNode{kNode});
  const auto changes = engine_->feed().after(from, 100).value();
  EXPECT_THAT(changes.front()->touched,
              testing::IsSupersetOf({control::ObjectRef{"Node", "node-1"},
                                     control::ObjectRef{"Gpu", "node-1/0"},
                                     control::ObjectRef{"Gpu", "node-1/7"}}));
}

TEST_F(EngineTest, ARestartIsTheSameState) {
  for (int i = 0; i < 70; ++i) must(small_request());
  report();
  const auto before = digest_of(*engine_);
  std::vector<std::uint64_t> progress;
  options_.progress = [&](std::uint64_t done, std::uint64_t) { progress.push_back(done); };
  start();
  EXPECT_EQ(digest_of(*engine_), before);
  EXPECT_EQ(progress.back(), revision());
  must(small_request());
}

class SnapshotTest : public EngineTest {
 protected:
  SnapshotTest() : EngineOn(options()) {}
  static EngineOptions options() {
    EngineOptions options = quick_options();
    options.snapshot_every = 10;
    return options;
  }
};

TEST_F(SnapshotTest, ARestartBeginsAtTheNewestSnapshot) {
  for (int i = 0; i < 25; ++i) must(small_request());
  ASSERT_TRUE(eventually([&] { return engine_->status().snapshot >= 20; }));
  const auto before = digest_of(*engine_);
  engine_.reset();
  auto replayed = journal::replay(journal_, shared_catalog());
  ASSERT_TRUE(replayed.has_value());
  EXPECT_GE(replayed->snapshot, 20U);
  EXPECT_EQ(journal::digest(*replayed->state), before);
  start();
  EXPECT_EQ(digest_of(*engine_), before);
}

TEST_F(EngineTest, StoppingAnswersWhatIsQueuedAndRefusesTheRest) {
  std::atomic<int> answered = 0;
  for (int i = 0; i < 20; ++i) {
    engine_->ask({small_request(), kAdmin, {}}, [&](const Answer& answer) {
      EXPECT_TRUE(answer.has_value());
      ++answered;
    });
  }
  engine_->stop();
  EXPECT_EQ(answered, 20);
  const auto late = engine_->execute(small_request(), kAdmin);
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().reason, base::Reason::kUnavailable);
  EXPECT_EQ(requests(), 20U) << "reading still works";
}

TEST(EngineStart, ADamagedJournalIsRefused) {
  MemoryJournal journal;
  ManualClock clock{base::Instant{}};
  {
    auto engine = Engine::start(shared_catalog(), journal, clock, quick_options());
    ASSERT_TRUE(engine.has_value());
    ASSERT_TRUE((*engine)->execute(small_fleet(), kAdmin).has_value());
    ASSERT_TRUE((*engine)->execute(small_request(), kAdmin).has_value());
  }
  std::string log = journal.log();
  log[40] = static_cast<char>(log[40] ^ 1);
  journal.set_log(log);
  const auto refused = Engine::start(shared_catalog(), journal, clock, quick_options());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, base::Reason::kInternal);
}

}  // namespace
}  // namespace tessera::service
