#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "journal/journal.h"

namespace tessera::journal {

/// A journal on a disk of memory, for simulation and tests: a log of bytes that outlives the
/// process that "crashes", with the faults of a real disk on request.
///
/// The log is a sequence of batches, [length, checksum, records…], one for each append. What
/// follows the last whole batch is torn: an append that never returned. It is dropped when next
/// touched, as a database's recovery does. A damaged batch with a whole one behind it was
/// acknowledged, and is an error.
///
/// Threads: as Journal; the faults too may be set from any thread.
class MemoryJournal final : public Journal {
 public:
  /// What happens to the next append.
  enum class Fault {
    kNone,
    kRefused,  ///< an I/O error before the first byte
    kTorn,     ///< the power fails half-way: part of it is in the log
    kUnheard,  ///< all of it is stored, but the writer is told that it failed
  };
  void fail_next_append(Fault fault);
  /// The size of the disk; appends beyond it fail with "disk full". Unlimited at first.
  void set_capacity(std::size_t bytes);
  /// Every call fails, as with a disk that was pulled out, until set back.
  void set_away(bool away);

  /// The bytes on the disk, to be damaged by tests.
  std::string log() const;
  void set_log(std::string log);
  void set_snapshot(Snapshot snapshot, std::uint32_t crc);

  base::Result<void> append(std::span<const control::Record> records) override;
  base::Result<std::uint64_t> last_revision() override;
  base::Result<void> read(std::uint64_t from, const RecordReader& reader) override;
  base::Result<std::optional<Snapshot>> latest_snapshot() override;
  base::Result<void> write_snapshot(std::uint64_t revision, std::string_view bytes) override;
  std::string name() const override { return "memory"; }

 private:
  struct Batch {
    std::uint64_t first = 0;  ///< revision
    std::uint64_t last = 0;
    std::size_t begin = 0;  ///< of its records, in log_
    std::size_t end = 0;
  };
  struct Kept {
    std::string bytes;
    std::uint32_t crc = 0;
  };

  base::Result<void> check_reachable() const;
  /// Brings batches_ up to date with log_, and drops a torn tail.
  base::Result<void> recover();
  std::uint64_t last() const { return batches_.empty() ? 0 : batches_.back().last; }

  mutable std::mutex mutex_;
  std::string log_;
  std::vector<Batch> batches_;  ///< of log_ up to scanned_
  std::size_t scanned_ = 0;
  std::map<std::uint64_t, Kept> snapshots_;
  Fault fault_ = Fault::kNone;
  std::size_t capacity_ = std::numeric_limits<std::size_t>::max();
  bool away_ = false;
};

}  // namespace tessera::journal
