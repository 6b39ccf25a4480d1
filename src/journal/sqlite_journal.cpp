#include "journal/sqlite_journal.h"

#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <sqlite3.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "base/check.h"
#include "journal/codec.h"

namespace tessera::journal {
namespace {

using base::Reason;

constexpr int kBusyMilliseconds = 5'000;
constexpr int kRowsPerPage = 1'000;
constexpr std::size_t kPartBytes = 256 << 10;
/// Between two parts of a snapshot, for an append that waits.
constexpr auto kPause = std::chrono::milliseconds(1);

std::int64_t as_column(std::uint64_t number) {
  return static_cast<std::int64_t>(number);
}

std::unexpected<base::Error> explain(const SQLite::Exception& error, const std::string& path) {
  const std::string what = error.what();
  switch (error.getErrorCode()) {
    case SQLITE_FULL:
      return base::fail(Reason::kUnavailable, "the disk, or the file's size limit, is full", path,
                        "make room there; nothing that was acknowledged is lost");
    case SQLITE_NOTADB:
      return base::fail(Reason::kInternal, "is not a journal: " + what, path,
                        "name the right file, or restore it from a backup");
    case SQLITE_CORRUPT:
      return base::fail(Reason::kInternal, "is damaged: " + what, path,
                        "stop the server and restore the file from a backup");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return base::fail(Reason::kUnavailable, "is locked by another program: " + what, path,
                        "end the program that has the file open");
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return base::fail(Reason::kUnavailable, "cannot be read or written: " + what, path,
                        "check the disk and the file's permissions");
    default:
      return base::fail(Reason::kInternal, what, path);
  }
}

std::unexpected<base::Error> damaged(const std::string& path, std::uint64_t revision,
                                     const std::string& what) {
  return base::fail(Reason::kInternal, "record " + std::to_string(revision) + " " + what, path,
                    "restore the file from a backup; the records before it are intact");
}

/// Makes the entries of a folder durable: a new file that a crash forgets holds no promise.
void sync_folder_of(const std::string& path) {
  const auto folder = std::filesystem::absolute(path).parent_path();
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  ::fsync(file);
  ::close(file);
}

/// Makes the file readable for its owner alone: it holds digests of tokens.
base::Result<void> make_private_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) {
    return base::fail(Reason::kUnavailable,
                      "cannot be opened: " + std::system_category().message(errno), path,
                      "check that its folder exists and is writable");
  }
  ::close(file);
  return {};
}

struct Row {
  std::uint64_t revision = 0;
  std::string bytes;
  std::uint32_t crc = 0;
};

/// The next rows from `from` on, at most kRowsPerPage and none beyond `last`.
std::vector<Row> page_of(SQLite::Database& database, std::uint64_t from, std::uint64_t last) {
  SQLite::Statement query(database,
                          "SELECT revision, bytes, crc FROM record WHERE revision BETWEEN ? AND ? "
                          "ORDER BY revision LIMIT ?");
  query.bind(1, as_column(from));
  query.bind(2, as_column(last));
  query.bind(3, kRowsPerPage);
  std::vector<Row> rows;
  rows.reserve(kRowsPerPage);
  while (query.executeStep()) {
    rows.push_back({static_cast<std::uint64_t>(query.getColumn(0).getInt64()),
                    query.getColumn(1).getString(),
                    static_cast<std::uint32_t>(query.getColumn(2).getInt64())});
  }
  return rows;
}

std::uint64_t last_revision_of(SQLite::Database& database) {
  SQLite::Statement query(database, "SELECT coalesce(max(revision), 0) FROM record");
  query.executeStep();
  return static_cast<std::uint64_t>(query.getColumn(0).getInt64());
}

/// The row's record, which must be `expected`.
base::Result<control::Record> record_of(const Row& row, std::uint64_t expected,
                                        const std::string& path) {
  if (row.revision != expected) return damaged(path, expected, "is missing");
  if (checksum(row.bytes) != row.crc) {
    return damaged(path, expected, "was changed on the disk: its checksum does not fit");
  }
  auto record = decode_record(row.bytes);
  if (!record) return damaged(path, expected, "cannot be read: " + base::to_string(record.error()));
  if (record->revision != expected) {
    return damaged(path, expected, "holds revision " + std::to_string(record->revision));
  }
  return record;
}

}  // namespace

template <class Work>
auto SqliteJournal::guarded(Work&& work) const -> decltype(work()) {
  try {
    return work();
  } catch (const SQLite::Exception& error) {
    return explain(error, path_);
  }
}

SqliteJournal::SqliteJournal(FileLock lock, std::string path,
                             std::unique_ptr<SQLite::Database> database)
    : lock_(std::move(lock)), path_(std::move(path)), database_(std::move(database)) {}

SqliteJournal::~SqliteJournal() = default;

base::Result<std::unique_ptr<SqliteJournal>> SqliteJournal::open(const Options& options) {
  if (auto made = make_private_file(options.path); !made) return std::unexpected(made.error());
  auto lock = FileLock::take(options.path + ".lock");
  if (!lock) {
    lock.error().where = options.path;
    return std::unexpected(lock.error());
  }
  try {
    auto database =
        std::make_unique<SQLite::Database>(options.path, SQLite::OPEN_READWRITE, kBusyMilliseconds);
    std::unique_ptr<SqliteJournal> journal(
        new SqliteJournal(std::move(*lock), options.path, std::move(database)));
    journal->prepare_file(options.max_bytes);
    if (auto fit = journal->check_or_make_schema(); !fit) return std::unexpected(fit.error());
    journal->prune_snapshots();
    sync_folder_of(options.path);
    return journal;
  } catch (const SQLite::Exception& error) {
    return explain(error, options.path);
  }
}

void SqliteJournal::prepare_file(std::size_t max_bytes) {
  database_->exec("PRAGMA journal_mode = WAL");
  database_->exec("PRAGMA synchronous = FULL");
  if (max_bytes > 0) {
    const auto page = static_cast<std::size_t>(database_->execAndGet("PRAGMA page_size").getInt());
    database_->exec("PRAGMA max_page_count = " + std::to_string(max_bytes / page + 1));
  }
}

base::Result<void> SqliteJournal::check_or_make_schema() {
  if (database_->execAndGet("SELECT count(*) FROM sqlite_master").getInt() == 0) {
    SQLite::Transaction transaction(*database_);
    database_->exec(
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE record (revision INTEGER PRIMARY KEY, at INTEGER NOT NULL,"
        "  actor TEXT NOT NULL, bytes BLOB NOT NULL, crc INTEGER NOT NULL);"
        "CREATE TABLE snapshot (revision INTEGER PRIMARY KEY, size INTEGER NOT NULL,"
        "  crc INTEGER NOT NULL);"
        "CREATE TABLE snapshot_part (revision INTEGER NOT NULL, part INTEGER NOT NULL,"
        "  bytes BLOB NOT NULL, PRIMARY KEY (revision, part));");
    database_->exec("INSERT INTO meta VALUES ('format', '" + std::to_string(kFormat) + "')");
    transaction.commit();
    return {};
  }
  if (!database_->tableExists("meta") || !database_->tableExists("record")) {
    return base::fail(Reason::kInternal, "is a database of another program", path_,
                      "name another file");
  }
  SQLite::Statement query(*database_, "SELECT value FROM meta WHERE key = 'format'");
  const std::string format = query.executeStep() ? query.getColumn(0).getString() : "unknown";
  if (format != std::to_string(kFormat)) {
    return base::fail(
        Reason::kInternal,
        "has format " + format + ", this program reads format " + std::to_string(kFormat), path_,
        "start the version of the program that wrote it");
  }
  return {};
}

base::Result<void> SqliteJournal::append(std::span<const control::Record> records) {
  if (records.empty()) return {};
  const std::lock_guard lock(mutex_);
  return guarded([&]() -> base::Result<void> {
    SQLite::Transaction transaction(*database_);
    SQLite::Statement insert(*database_, "INSERT INTO record VALUES (?, ?, ?, ?, ?)");
    std::uint64_t last = last_revision_of(*database_);
    for (const auto& record : records) {
      CHECK_MSG(record.revision == last + 1, "append of revision " +
                                                 std::to_string(record.revision) + " after " +
                                                 std::to_string(last));
      last = record.revision;
      const std::string bytes = encode(record);
      if (bytes.size() > kLargestRecord) {
        return base::fail(Reason::kTooLarge,
                          "one step of " + std::to_string(bytes.size()) + " bytes", path_,
                          "ask for less at once");
      }
      insert.bind(1, as_column(record.revision));
      insert.bind(2, std::int64_t{record.at.time_since_epoch().count()});
      insert.bindNoCopy(3, record.actor.name);
      insert.bindNoCopy(4, bytes.data(), static_cast<int>(bytes.size()));
      insert.bind(5, std::int64_t{checksum(bytes)});
      insert.exec();
      insert.reset();
    }
    transaction.commit();
    return {};
  });
}

base::Result<std::uint64_t> SqliteJournal::last_revision() {
  const std::lock_guard lock(mutex_);
  return guarded([&]() -> base::Result<std::uint64_t> { return last_revision_of(*database_); });
}

base::Result<void> SqliteJournal::read(std::uint64_t from, const RecordReader& reader) {
  return guarded([&]() -> base::Result<void> {
    SQLite::Database database(path_, SQLite::OPEN_READONLY, kBusyMilliseconds);
    const std::uint64_t last = last_revision_of(database);
    std::uint64_t next = std::max<std::uint64_t>(from, 1);
    while (next <= last) {
      const auto rows = page_of(database, next, last);
      if (rows.empty()) return damaged(path_, next, "is missing");
      for (const auto& row : rows) {
        auto record = record_of(row, next, path_);
        if (!record) return std::unexpected(std::move(record.error()));
        if (auto taken = reader(std::move(*record)); !taken) return taken;
        ++next;
      }
    }
    return {};
  });
}

base::Result<std::optional<Snapshot>> SqliteJournal::latest_snapshot() {
  return guarded([&]() -> base::Result<std::optional<Snapshot>> {
    SQLite::Database database(path_, SQLite::OPEN_READONLY, kBusyMilliseconds);
    SQLite::Statement heads(database,
                            "SELECT revision, size, crc FROM snapshot ORDER BY revision DESC");
    while (heads.executeStep()) {
      const std::int64_t revision = heads.getColumn(0).getInt64();
      Snapshot snapshot{static_cast<std::uint64_t>(revision), {}};
      SQLite::Statement parts(database,
                              "SELECT bytes FROM snapshot_part WHERE revision = ? ORDER BY part");
      parts.bind(1, revision);
      while (parts.executeStep()) snapshot.bytes += parts.getColumn(0).getString();
      if (std::cmp_equal(snapshot.bytes.size(), heads.getColumn(1).getInt64()) &&
          checksum(snapshot.bytes) == static_cast<std::uint32_t>(heads.getColumn(2).getInt64())) {
        return snapshot;
      }
    }
    return std::nullopt;
  });
}

base::Result<void> SqliteJournal::write_snapshot(std::uint64_t revision, std::string_view bytes) {
  if (bytes.size() > kLargestSnapshot) {
    return base::fail(Reason::kTooLarge, "a snapshot of " + std::to_string(bytes.size()) + " bytes",
                      path_, "nothing is lost: starting takes longer");
  }
  return guarded([&]() -> base::Result<void> {
    {
      const std::lock_guard lock(mutex_);
      delete_snapshot(revision);
    }
    for (std::size_t part = 0; part * kPartBytes < bytes.size(); ++part) {
      put_snapshot_part(revision, part, bytes.substr(part * kPartBytes, kPartBytes));
      std::this_thread::sleep_for(kPause);
    }
    const std::lock_guard lock(mutex_);
    SQLite::Statement head(*database_, "INSERT INTO snapshot VALUES (?, ?, ?)");
    head.bind(1, as_column(revision));
    head.bind(2, as_column(bytes.size()));
    head.bind(3, std::int64_t{checksum(bytes)});
    head.exec();
    prune_snapshots();
    return {};
  });
}

void SqliteJournal::put_snapshot_part(std::uint64_t revision, std::size_t part,
                                      std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  SQLite::Statement insert(*database_, "INSERT INTO snapshot_part VALUES (?, ?, ?)");
  insert.bind(1, as_column(revision));
  insert.bind(2, as_column(part));
  insert.bindNoCopy(3, bytes.data(), static_cast<int>(bytes.size()));
  insert.exec();
}

void SqliteJournal::delete_snapshot(std::uint64_t revision) {
  SQLite::Transaction transaction(*database_);
  for (const char* table : {"snapshot", "snapshot_part"}) {
    SQLite::Statement remove(*database_,
                             std::string("DELETE FROM ") + table + " WHERE revision = ?");
    remove.bind(1, as_column(revision));
    remove.exec();
  }
  transaction.commit();
}

void SqliteJournal::prune_snapshots() {
  SQLite::Transaction transaction(*database_);
  database_->exec(
      "DELETE FROM snapshot WHERE revision NOT IN"
      "  (SELECT revision FROM snapshot ORDER BY revision DESC LIMIT " +
      std::to_string(kSnapshotsKept) + ")");
  // Also what a crash left of a snapshot that was never finished.
  database_->exec(
      "DELETE FROM snapshot_part WHERE revision NOT IN (SELECT revision FROM snapshot)");
  transaction.commit();
}

}  // namespace tessera::journal
