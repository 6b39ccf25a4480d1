#include "journal/sqlite_journal.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <thread>
#include <unistd.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "journal/codec.h"
#include "journal/sample_records.h"
#include "journal/temporary_folder.h"

namespace tessera::journal {
namespace {

class SqliteJournalTest : public testing::Test {
 protected:
  std::unique_ptr<SqliteJournal> open() {
    auto opened = SqliteJournal::open({path_, 0});
    EXPECT_TRUE(opened.has_value()) << base::to_string(opened.error());
    return opened ? std::move(*opened) : nullptr;
  }
  base::Error open_refused() {
    auto opened = SqliteJournal::open({path_, 0});
    EXPECT_FALSE(opened.has_value());
    return opened ? base::Error{} : opened.error();
  }
  void fill(std::size_t count) {
    const auto journal = open();
    const auto stored = journal->append(sample_records(1, count));
    ASSERT_TRUE(stored.has_value()) << base::to_string(stored.error());
  }
  void sql(const std::string& statement) {
    SQLite::Database(path_, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec(statement);
  }
  base::Result<std::uint64_t> read_all(Journal& journal) {
    std::uint64_t count = 0;
    auto done = journal.read(
        1, [&](control::Record) -> base::Result<void> { return ++count, base::Result<void>(); });
    if (!done) return std::unexpected(done.error());
    return count;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("journal.db");
};

TEST_F(SqliteJournalTest, OneServerAtATime) {
  const auto first = open();
  const auto error = open_refused();
  EXPECT_EQ(error.reason, base::Reason::kConflict);
  EXPECT_EQ(error.where, path_);
  EXPECT_NE(error.what.find("process " + std::to_string(::getpid())), std::string::npos);
}

TEST_F(SqliteJournalTest, IsReadableForItsOwnerAlone) {
  open();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 077, 0U);
}

TEST_F(SqliteJournalTest, NamesAFolderThatIsMissing) {
  path_ = folder_.file("missing/journal.db");
  const auto error = open_refused();
  EXPECT_EQ(error.reason, base::Reason::kUnavailable);
  EXPECT_EQ(error.where, path_);
}

TEST_F(SqliteJournalTest, RefusesWhatIsNotAJournal) {
  std::ofstream(path_) << std::string(4'096, 'x');
  EXPECT_EQ(open_refused().reason, base::Reason::kInternal);
}

TEST_F(SqliteJournalTest, RefusesAnotherProgramsDatabase) {
  sql("CREATE TABLE theirs (x)");
  EXPECT_EQ(open_refused().what, "is a database of another program");
}

TEST_F(SqliteJournalTest, RefusesANewerFormat) {
  fill(1);
  sql("UPDATE meta SET value = '2' WHERE key = 'format'");
  EXPECT_EQ(open_refused().what, "has format 2, this program reads format 1");
}

TEST_F(SqliteJournalTest, AChangedRecordIsRefusedWithItsRevision) {
  fill(20);
  sql("UPDATE record SET bytes = zeroblob(length(bytes)) WHERE revision = 12");
  const auto journal = open();
  const auto read = read_all(*journal);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().where, path_);
  EXPECT_NE(read.error().what.find("record 12 was changed"), std::string::npos);
  EXPECT_FALSE(read.error().todo.empty());
}

TEST_F(SqliteJournalTest, AMissingRecordIsRefused) {
  fill(20);
  sql("DELETE FROM record WHERE revision = 5");
  const auto journal = open();
  EXPECT_EQ(read_all(*journal).error().what, "record 5 is missing");
}

TEST_F(SqliteJournalTest, ADamagedPageIsRefused) {
  fill(3'000);
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path_) / 2 / 4'096 * 4'096));
    file << std::string(4'096, '\xa5');
  }
  const auto journal = open();
  const auto read = read_all(*journal);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().reason, base::Reason::kInternal);
  EXPECT_NE(base::to_string(read.error()).find(path_), std::string::npos);
}

TEST_F(SqliteJournalTest, FallsBackToAnOlderSnapshotAndForgetsUnfinishedOnes) {
  {
    const auto journal = open();
    ASSERT_TRUE(journal->write_snapshot(1, "one").has_value());
    ASSERT_TRUE(journal->write_snapshot(2, "two").has_value());
  }
  sql("UPDATE snapshot_part SET bytes = x'00' WHERE revision = 2");
  sql("INSERT INTO snapshot_part VALUES (3, 0, x'00')");
  const auto journal = open();
  EXPECT_EQ((*journal->latest_snapshot())->revision, 1U);
  SQLite::Database reading(path_);
  EXPECT_EQ(reading.execAndGet("SELECT count(*) FROM snapshot_part WHERE revision = 3").getInt(),
            0);
}

// The power fails while the write-ahead log is written: any part of its tail may be missing.
TEST_F(SqliteJournalTest, ATornWriteAheadLogKeepsAPrefixOfWholeAppends) {
  const TemporaryFolder copies;
  const auto journal = open();
  for (std::uint64_t first = 1; first < 40; first += 4) {
    ASSERT_TRUE(journal->append(sample_records(first, 4)).has_value());
  }
  const std::string copy = copies.file("journal.db");
  const auto size = std::filesystem::file_size(path_ + "-wal");
  std::uint64_t before = 0;
  for (std::uintmax_t cut = 0; cut <= size; cut += 1'111) {
    std::filesystem::copy_file(path_, copy, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(path_ + "-wal", copy + "-wal",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(copy + "-wal", cut);
    std::filesystem::remove(copy + "-shm");
    auto torn = SqliteJournal::open({copy, 0});
    ASSERT_TRUE(torn.has_value()) << base::to_string(torn.error());
    const auto last = (*torn)->last_revision();
    ASSERT_TRUE(last.has_value());
    EXPECT_EQ(*last % 4, 0U);
    EXPECT_GE(*last, before);
    EXPECT_EQ(read_all(**torn), *last);
    before = *last;
  }
  EXPECT_GE(before, 36U);
}

/// In the child: appends for ever, and says after each append how far it got.
[[noreturn]] void append_until_killed(const std::string& path, int pipe) {
  auto journal = SqliteJournal::open({path, 0});
  if (!journal) ::_exit(1);
  std::uint64_t revision = *(*journal)->last_revision();
  while (true) {
    const auto records = sample_records(revision + 1, 1 + revision % 5);
    if (!(*journal)->append(records)) ::_exit(2);
    revision += records.size();
    if (::write(pipe, &revision, sizeof revision) != sizeof revision) ::_exit(3);
  }
}

TEST_F(SqliteJournalTest, AKilledServerLosesNothingAcknowledged) {
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 8; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) append_until_killed(path_, pipe[1]);
    ::close(pipe[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + 17 * round));
    ::kill(child, SIGKILL);
    std::uint64_t revision = 0;
    while (::read(pipe[0], &revision, sizeof revision) == sizeof revision) acknowledged = revision;
    ::close(pipe[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed by itself: " << WEXITSTATUS(status);
    const auto journal = open();
    ASSERT_NE(journal, nullptr);
    EXPECT_GE(*journal->last_revision(), acknowledged);
    EXPECT_EQ(read_all(*journal), *journal->last_revision());
  }
  EXPECT_GT(acknowledged, 0U);
}

// A write that the system refuses in the middle, as a real full disk does: here the limit is on the
// size of any file of the child process.
TEST_F(SqliteJournalTest, ARefusedWriteIsAnErrorAndTheJournalStaysSound) {
  fill(10);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{96 << 10, 96 << 10};
    auto journal = SqliteJournal::open({path_, 0});
    if (!journal || ::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(1);
    std::uint64_t next = *(*journal)->last_revision() + 1;
    for (int i = 0; i < 10'000; ++i, ++next) {
      const auto stored = (*journal)->append(sample_records(next, 1));
      if (stored) continue;
      if (stored.error().reason != base::Reason::kUnavailable) ::_exit(2);
      ::_exit((*journal)->last_revision() == next - 1 ? 0 : 3);
    }
    ::_exit(4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  const auto journal = open();
  EXPECT_EQ(read_all(*journal), *journal->last_revision());
  EXPECT_TRUE(journal->append(sample_records(*journal->last_revision() + 1, 1)).has_value());
}

}  // namespace
}  // namespace tessera::journal
