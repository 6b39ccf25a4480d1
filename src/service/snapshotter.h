#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "journal/journal.h"

namespace tessera::service {

/// Writes snapshots beside the commits, on a thread of its own. A snapshot that fails is no loss
/// (the next start replays more); the trouble is kept for the status.
///
/// Threads: any.
class Snapshotter {
 public:
  /// Takes the present state as bytes; called on the snapshotter's thread.
  using Source = std::function<journal::Snapshot()>;

  /// Due `every` revisions after `last`. The journal must outlive it.
  Snapshotter(journal::Journal& journal, std::uint64_t every, std::uint64_t last, Source source);
  ~Snapshotter();

  /// The state has come to `revision`: writes a snapshot if one is due.
  void reached(std::uint64_t revision);

  struct Report {
    std::uint64_t revision = 0;  ///< of the last one written; 0: none yet
    std::string trouble;         ///< of the last try; empty: none
  };
  Report report() const;

  /// Finishes the one in progress. Idempotent.
  void stop();

 private:
  void run();

  journal::Journal& journal_;
  const std::uint64_t every_;
  const Source source_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::uint64_t last_;
  bool due_ = false;
  bool stopping_ = false;
  Report report_;
  std::thread thread_;
};

}  // namespace tessera::service
