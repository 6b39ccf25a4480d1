// A server killed at any moment, and what its successor finds.
#include <array>
#include <chrono>
#include <signal.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "base/random.h"
#include "control/invariants.h"
#include "journal/sqlite_journal.h"
#include "journal/temporary_folder.h"
#include "service/engine_world.h"

namespace tessera::service {
namespace {

constexpr int kClients = 20;
constexpr int kRounds = 10;
constexpr std::size_t kFirstAnswers = 15;

/// What a client of the child process heard.
struct Acknowledged {
  std::uint64_t revision = 0;
  std::uint64_t lease = 0;  ///< 0: the request waits
};

/// In the child: clients submit, release every third lease and withdraw what has to wait (a queue
/// has its limit, and quick machines reach it), until the process is killed.
[[noreturn]] void serve_until_killed(const std::string& path, int pipe) {
  auto journal = journal::SqliteJournal::open({path, 0});
  if (!journal) ::_exit(1);
  ManualClock clock{base::Instant(std::chrono::hours(480'000))};
  auto options = quick_options();
  options.snapshot_every = 50;
  auto engine = Engine::start(shared_catalog(), **journal, clock, options);
  if (!engine) ::_exit(2);
  if (!(*engine)->execute(small_fleet(), kAdmin)) ::_exit(3);
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      while (true) {
        const auto report =
            (*engine)->read([](const control::State& state) { return report_of(state); });
        if (!(*engine)->execute(report, kAgent)) ::_exit(4);
        const auto record = (*engine)->execute(small_request(), kAdmin);
        if (!record) ::_exit(5);
        const Acknowledged heard{record->revision, granted_in(*record).value()};
        if (::write(pipe, &heard, sizeof heard) != sizeof heard) ::_exit(6);
        if (heard.lease == 0)
          (void)(*engine)->execute(control::Cancel{submitted_in(*record)}, kAdmin);
        else if (heard.lease % 3 == 1)
          (void)(*engine)->execute(control::Release{fleet::LeaseId(heard.lease)}, kAdmin);
      }
    });
  }
  for (auto& client : clients) client.join();
  ::_exit(7);
}

std::vector<Acknowledged> run_and_kill(const std::string& path, std::chrono::milliseconds after) {
  std::array<int, 2> pipe{};
  EXPECT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe[0]);
    serve_until_killed(path, pipe[1]);
  }
  ::close(pipe[1]);
  std::vector<Acknowledged> all;
  Acknowledged heard;
  // These answers say that the server is at work; from then on the time counts.
  while (all.size() < kFirstAnswers && ::read(pipe[0], &heard, sizeof heard) == sizeof heard) {
    all.push_back(heard);
  }
  std::this_thread::sleep_for(after);
  ::kill(child, SIGKILL);
  while (::read(pipe[0], &heard, sizeof heard) == sizeof heard) all.push_back(heard);
  ::close(pipe[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
  return all;
}

TEST(EngineCrash, EveryAcknowledgedLeaseIsThereAfterAKill) {
  const journal::TemporaryFolder folder;
  const std::string path = folder.file("journal.db");
  base::SeededRandom random(20);
  std::size_t acknowledged = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto heard = run_and_kill(path, std::chrono::milliseconds(random.below(150)));
    acknowledged += heard.size();
    auto journal = journal::SqliteJournal::open({path, 0});
    ASSERT_TRUE(journal.has_value()) << base::to_string(journal.error());
    auto replayed = journal::replay(**journal, shared_catalog());
    ASSERT_TRUE(replayed.has_value()) << base::to_string(replayed.error());
    const control::State& state = *replayed->state;
    for (const auto& [revision, lease] : heard) {
      EXPECT_LE(revision, state.revision());
      EXPECT_TRUE(lease == 0 || state.find(fleet::LeaseId(lease)) != nullptr) << "lease " << lease;
    }
    for (const auto& invariant : control::all_invariants()) {
      EXPECT_EQ(invariant->check(state, {}), std::nullopt) << invariant->name();
    }
  }
  EXPECT_GT(acknowledged, 100U) << "too little happened to prove anything";
}

// The same records lead to the same state with and without the snapshot in between.
TEST(EngineCrash, ReplayFromASnapshotIsReplayFromNothing) {
  const journal::TemporaryFolder folder;
  const std::string path = folder.file("journal.db");
  run_and_kill(path, std::chrono::milliseconds(400));
  auto journal = journal::SqliteJournal::open({path, 0});
  ASSERT_TRUE(journal.has_value());
  auto replayed = journal::replay(**journal, shared_catalog());
  ASSERT_TRUE(replayed.has_value());
  EXPECT_GT(replayed->snapshot, 0U);
  control::State from_nothing(shared_catalog());
  const auto read = (*journal)->read(1, [&](const control::Record& record) -> base::Result<void> {
    from_nothing.apply(record);
    return {};
  });
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(journal::digest(from_nothing), journal::digest(*replayed->state));
}

}  // namespace
}  // namespace tessera::service
