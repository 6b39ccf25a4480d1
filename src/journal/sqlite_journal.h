#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "journal/file_lock.h"
#include "journal/journal.h"

namespace SQLite {
class Database;
}

namespace tessera::journal {

/// A journal in one SQLite file, for one server.
///
///   meta           (key, value)                        format = kFormat
///   record         (revision, at, actor, bytes, crc)   one row for each record; at in ms since
///   1970 snapshot       (revision, size, crc)               written last: a snapshot without is
///   not whole snapshot_part  (revision, part, bytes)
///
/// Durability: write-ahead log with synchronous = FULL, so a commit is an fsync. SQLite's own
/// checksums cut off a torn tail of that log; the crc of each row tells later damage.
/// Exclusiveness: a lock on FILE.lock, held for the life of the object.
/// Threads: as Journal. Writing is serialised by a mutex; reading has a connection of its own and
/// holds no transaction open while the reader works.
class SqliteJournal final : public Journal {
 public:
  static constexpr int kFormat = 1;

  struct Options {
    std::string path;           ///< made if absent; its folder must exist
    std::size_t max_bytes = 0;  ///< the file grows no further: appends fail; 0: no limit
  };

  /// Errors: kConflict (another server has it), kUnavailable (cannot be opened), kInternal (not a
  /// journal, damaged, or written by a newer version).
  static base::Result<std::unique_ptr<SqliteJournal>> open(const Options& options);
  ~SqliteJournal() override;

  base::Result<void> append(std::span<const control::Record> records) override;
  base::Result<std::uint64_t> last_revision() override;
  base::Result<void> read(std::uint64_t from, const RecordReader& reader) override;
  base::Result<std::optional<Snapshot>> latest_snapshot() override;
  base::Result<void> write_snapshot(std::uint64_t revision, std::string_view bytes) override;
  std::string name() const override { return path_; }

 private:
  SqliteJournal(FileLock lock, std::string path, std::unique_ptr<SQLite::Database> database);
  /// Runs `work`, which may throw SQLite::Exception, and names the file in what became of it.
  template <class Work>
  auto guarded(Work&& work) const -> decltype(work());

  void prepare_file(std::size_t max_bytes);
  base::Result<void> check_or_make_schema();
  void put_snapshot_part(std::uint64_t revision, std::size_t part, std::string_view bytes);
  void delete_snapshot(std::uint64_t revision);
  void prune_snapshots();

  FileLock lock_;
  std::string path_;
  std::mutex mutex_;  ///< of the connection that writes
  std::unique_ptr<SQLite::Database> database_;
};

}  // namespace tessera::journal
