#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/event.h"

namespace tessera::journal {

/// A state at one revision, as bytes (journal/codec.h).
struct Snapshot {
  std::uint64_t revision = 0;
  std::string bytes;
};

/// Receives records in order; an error ends the reading and is passed on.
using RecordReader = std::function<base::Result<void>(control::Record)>;

/// Where records are kept, as a port.
///
/// Invariants, which every implementation holds to (journal_conformance_test):
/// 1. Revisions are 1, 2, 3 … without gaps.
/// 2. append() is durable when it returns, and all or nothing: after a crash at any moment, every
///    append that returned is there, and one that did not is there whole or not at all.
/// 3. An append that failed has stored nothing, or all: last_revision() tells which.
/// 4. What is read is what was written, byte for byte; anything else is an error that says where.
/// 5. Snapshots only shorten the replay. The records before them stay: they are the audit trail.
///
/// Threads: any method from any thread at any time. One append and one write_snapshot at a time.
///
/// Errors: kUnavailable where trying again may help (disk full, I/O error), kInternal where what
/// is stored is damaged.
class Journal {
 public:
  virtual ~Journal() = default;

  /// `records` continue last_revision() without a gap.
  virtual base::Result<void> append(std::span<const control::Record> records) = 0;

  /// The revision of the last record stored; 0 when there is none.
  virtual base::Result<std::uint64_t> last_revision() = 0;

  /// Every record from revision `from` on that was stored when the call began, in order.
  virtual base::Result<void> read(std::uint64_t from, const RecordReader& reader) = 0;

  /// The newest snapshot that is whole; damaged ones are passed over, since replaying from an
  /// older one (or from nothing) leads to the same state.
  virtual base::Result<std::optional<Snapshot>> latest_snapshot() = 0;

  /// Keeps the newest kSnapshotsKept; never holds up append() for longer than a small write.
  virtual base::Result<void> write_snapshot(std::uint64_t revision, std::string_view bytes) = 0;

  /// For messages: "memory", "/var/lib/tessera/journal.db".
  virtual std::string name() const = 0;

  static constexpr int kSnapshotsKept = 2;
};

}  // namespace tessera::journal
