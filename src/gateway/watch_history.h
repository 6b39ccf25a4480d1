#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/state.h"
#include "control/step.h"

namespace tessera::gateway {

enum class ChangeType : std::uint8_t { kAdded, kModified, kDeleted };
std::string_view to_string(ChangeType type);  ///< "ADDED" …

/// Which objects the last revisions added, modified and deleted, for those who watch.
/// Bounded in revisions and in entries. Not thread-safe.
class WatchHistory {
 public:
  struct Entry {
    std::uint64_t revision = 0;
    ChangeType type{};
    control::ObjectRef object;
  };

  WatchHistory(std::size_t revisions, std::size_t entries)
      : most_revisions_(revisions), most_entries_(entries) {}

  /// The kinds that are followed.
  static bool follows(std::string_view kind);

  /// Forgets all; what exists in `state` is known, the history begins after its revision.
  void begin(const control::State& state);
  /// The next revision, as it touched `objects`. `state` is as of then or later.
  void note(const control::State& state, std::uint64_t revision,
            const std::vector<control::ObjectRef>& objects);

  /// All that changed after this revision …
  std::uint64_t oldest() const { return oldest_; }
  /// … up to this one is held.
  std::uint64_t newest() const { return newest_; }

  struct Part {
    std::vector<Entry> entries;  ///< each object once, by rising revision
    std::uint64_t upto = 0;      ///< all of interest up to this revision is among them
  };
  /// What happened to objects of `kinds` (empty: all) after `since`, in whole revisions, at least
  /// one of them, and no more once there are `enough` entries. `since` >= oldest().
  Part after(std::uint64_t since, const std::set<std::string>& kinds, std::size_t enough) const;

 private:
  void shorten();

  const std::size_t most_revisions_;
  const std::size_t most_entries_;
  std::set<control::ObjectRef> known_;  ///< objects that exist, to tell ADDED from MODIFIED
  std::deque<Entry> entries_;
  std::uint64_t oldest_ = 0;
  std::uint64_t newest_ = 0;
};

}  // namespace tessera::gateway
