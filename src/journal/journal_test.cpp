// What every journal must hold to, whatever it keeps its records in.
#include "journal/journal.h"

#include <atomic>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "journal/codec.h"
#include "journal/memory_journal.h"
#include "journal/sample_records.h"
#include "journal/sqlite_journal.h"
#include "journal/temporary_folder.h"

namespace tessera::journal {
namespace {

/// A memory journal outlives the process that uses it, so reopening it keeps the object.
class MemoryWorld {
 public:
  Journal& journal() { return journal_; }
  void reopen() { journal_.set_log(journal_.log()); }
  void fill_disk() { journal_.set_capacity(journal_.log().size() + 64); }

 private:
  MemoryJournal journal_;
};

class SqliteWorld {
 public:
  SqliteWorld() { open(0); }
  Journal& journal() { return *journal_; }
  void reopen() { open(0); }
  void fill_disk() { open(64 << 10); }

 private:
  void open(std::size_t max_bytes) {
    journal_.reset();
    auto opened = SqliteJournal::open({folder_.file("journal.db"), max_bytes});
    ASSERT_TRUE(opened.has_value()) << base::to_string(opened.error());
    journal_ = std::move(*opened);
  }
  TemporaryFolder folder_;
  std::unique_ptr<SqliteJournal> journal_;
};

template <class World>
class JournalConformance : public testing::Test {
 protected:
  Journal& journal() { return world_.journal(); }
  void append(const std::vector<control::Record>& records) {
    const auto stored = journal().append(records);
    ASSERT_TRUE(stored.has_value()) << base::to_string(stored.error());
  }
  std::vector<std::string> contents(std::uint64_t from = 1) {
    std::vector<std::string> all;
    const auto done = journal().read(from, [&](control::Record record) -> base::Result<void> {
      all.push_back(encode(record));
      return {};
    });
    EXPECT_TRUE(done.has_value()) << base::to_string(done.error());
    return all;
  }
  static std::vector<std::string> encoded(const std::vector<control::Record>& records) {
    std::vector<std::string> all;
    for (const auto& record : records) all.push_back(encode(record));
    return all;
  }
  World world_;
};

using Worlds = testing::Types<MemoryWorld, SqliteWorld>;
TYPED_TEST_SUITE(JournalConformance, Worlds);

TYPED_TEST(JournalConformance, IsEmptyAtFirst) {
  EXPECT_EQ(this->journal().last_revision(), 0U);
  EXPECT_TRUE(this->contents().empty());
  EXPECT_EQ(this->journal().latest_snapshot()->has_value(), false);
}

TYPED_TEST(JournalConformance, GivesBackWhatWasAppendedAfterReopening) {
  const auto records = sample_records(1, 2'500);
  this->append({records.begin(), records.begin() + 1});
  this->append({records.begin() + 1, records.begin() + 1'700});
  this->world_.reopen();
  this->append({records.begin() + 1'700, records.end()});
  EXPECT_EQ(this->journal().last_revision(), 2'500U);
  EXPECT_EQ(this->contents(), this->encoded(records));
}

TYPED_TEST(JournalConformance, ReadsFromTheMiddleOfABatch) {
  const auto records = sample_records(1, 10);
  this->append(records);
  EXPECT_EQ(this->contents(4), this->encoded({records.begin() + 3, records.end()}));
  EXPECT_TRUE(this->contents(11).empty());
}

TYPED_TEST(JournalConformance, AnEmptyAppendStoresNothing) {
  this->append({});
  EXPECT_EQ(this->journal().last_revision(), 0U);
}

TYPED_TEST(JournalConformance, AGapIsOurOwnMistake) {
  EXPECT_THROW((void)this->journal().append(sample_records(2, 1)), base::CheckFailed);
  this->append(sample_records(1, 1));
  EXPECT_THROW((void)this->journal().append(sample_records(1, 1)), base::CheckFailed);
  EXPECT_EQ(this->journal().last_revision(), 1U);
}

TYPED_TEST(JournalConformance, TheReaderMayStop) {
  this->append(sample_records(1, 10));
  int seen = 0;
  const auto stopped = this->journal().read(1, [&](control::Record) -> base::Result<void> {
    if (++seen == 3) return base::fail(base::Reason::kConflict, "enough");
    return {};
  });
  ASSERT_FALSE(stopped.has_value());
  EXPECT_EQ(stopped.error().what, "enough");
  EXPECT_EQ(seen, 3);
}

TYPED_TEST(JournalConformance, AFullDiskRefusesAndLosesNothing) {
  const auto before = sample_records(1, 20);
  this->append(before);
  this->world_.fill_disk();
  std::vector<control::Record> large = sample_records(21, 3);
  large.back().actor.name = std::string(200'000, 'x');
  const auto refused = this->journal().append(large);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, base::Reason::kUnavailable);
  EXPECT_NE(base::to_string(refused.error()).find("full"), std::string::npos);
  EXPECT_EQ(this->journal().last_revision(), 20U) << "all or nothing";
  EXPECT_EQ(this->contents(), this->encoded(before));
}

TYPED_TEST(JournalConformance, KeepsTheNewestSnapshots) {
  const std::string large(700'000, 'z');
  for (const std::uint64_t revision : {10U, 20U, 30U}) {
    const auto written = this->journal().write_snapshot(revision, large + std::to_string(revision));
    ASSERT_TRUE(written.has_value()) << base::to_string(written.error());
  }
  this->world_.reopen();
  const auto snapshot = this->journal().latest_snapshot();
  ASSERT_TRUE(snapshot.has_value() && snapshot->has_value());
  EXPECT_EQ((*snapshot)->revision, 30U);
  EXPECT_EQ((*snapshot)->bytes, large + "30");
}

TYPED_TEST(JournalConformance, WritesASnapshotAgain) {
  ASSERT_TRUE(this->journal().write_snapshot(5, "first").has_value());
  ASSERT_TRUE(this->journal().write_snapshot(5, "second").has_value());
  EXPECT_EQ((*this->journal().latest_snapshot())->bytes, "second");
}

TYPED_TEST(JournalConformance, ReadersAndASnapshotRunBesideAppends) {
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      std::uint64_t next = 1;
      const auto read = this->journal().read(1, [&](control::Record record) -> base::Result<void> {
        EXPECT_EQ(record.revision, next++);
        return {};
      });
      EXPECT_TRUE(read.has_value()) << base::to_string(read.error());
    }
  });
  std::thread snapshot([&] {
    EXPECT_TRUE(this->journal().write_snapshot(1, std::string(1 << 20, 's')).has_value());
  });
  const auto records = sample_records(1, 100);
  for (const auto& record : records) this->append({record});
  snapshot.join();
  done = true;
  reader.join();
  EXPECT_EQ(this->contents(), this->encoded(records));
}

// -- the faults that a disk of memory has on request -------------------------------------------

TEST(MemoryJournal, ATornAppendIsDropped) {
  MemoryJournal journal;
  ASSERT_TRUE(journal.append(sample_records(1, 5)).has_value());
  const std::size_t sound = journal.log().size();
  journal.fail_next_append(MemoryJournal::Fault::kTorn);
  EXPECT_FALSE(journal.append(sample_records(6, 5)).has_value());
  EXPECT_GT(journal.log().size(), sound);
  EXPECT_EQ(journal.last_revision(), 5U);
  EXPECT_EQ(journal.log().size(), sound);
  EXPECT_TRUE(journal.append(sample_records(6, 1)).has_value());
}

TEST(MemoryJournal, EveryCutOfTheLogKeepsWholeAppends) {
  MemoryJournal journal;
  for (std::uint64_t first = 1; first < 30; first += 3) {
    ASSERT_TRUE(journal.append(sample_records(first, 3)).has_value());
  }
  const std::string log = journal.log();
  std::uint64_t before = 0;
  for (std::size_t size = 0; size <= log.size(); ++size) {
    journal.set_log(log.substr(0, size));
    const auto last = journal.last_revision();
    ASSERT_TRUE(last.has_value()) << base::to_string(last.error());
    EXPECT_EQ(*last % 3, 0U);
    EXPECT_GE(*last, before);
    before = *last;
  }
  EXPECT_EQ(before, 30U);
}

TEST(MemoryJournal, DamageInTheMiddleIsRefusedWithItsPlace) {
  MemoryJournal journal;
  ASSERT_TRUE(journal.append(sample_records(1, 2)).has_value());
  const std::size_t second = journal.log().size();
  ASSERT_TRUE(journal.append(sample_records(3, 2)).has_value());
  ASSERT_TRUE(journal.append(sample_records(5, 2)).has_value());
  std::string log = journal.log();
  log[second + 20] = static_cast<char>(log[second + 20] ^ 1);
  journal.set_log(log);
  const auto refused = journal.last_revision();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().where, "journal in memory, after revision 2");
}

TEST(MemoryJournal, AnUnheardAppendIsThere) {
  MemoryJournal journal;
  journal.fail_next_append(MemoryJournal::Fault::kUnheard);
  EXPECT_FALSE(journal.append(sample_records(1, 3)).has_value());
  EXPECT_EQ(journal.last_revision(), 3U);
}

TEST(MemoryJournal, PassesOverADamagedSnapshot) {
  MemoryJournal journal;
  ASSERT_TRUE(journal.write_snapshot(1, "one").has_value());
  journal.set_snapshot({2, "two"}, 0);
  EXPECT_EQ((*journal.latest_snapshot())->revision, 1U);
}

}  // namespace
}  // namespace tessera::journal
