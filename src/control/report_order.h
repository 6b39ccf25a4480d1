#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fleet/node_protocol.h"
#include "fleet/slice.h"

namespace tessera::control {

/// Which of a node's reports was the last: an older one that arrives late, and one that arrives
/// twice, say nothing any more.
///
/// Reports of one agent process are in order by their sequence. Which of two processes is the later
/// one no number tells, because clocks can be set back: it is the one that was heard from later,
/// and the processes before it are remembered, so that a straggler of theirs is known for one.
///
/// Remembered by whoever decides, and no part of the state: after a restart the first report of
/// every node counts.
class ReportOrder {
 public:
  /// Does the report tell something newer than all before it? One without a sequence always does.
  bool fresh(fleet::NodeIndex node, const fleet::NodeReport& report) const;
  /// Takes note of a fresh report.
  void note(fleet::NodeIndex node, const fleet::NodeReport& report);

 private:
  /// One agent process on one boot of the machine.
  struct Session {
    std::string boot;
    std::uint64_t number = 0;
    friend bool operator==(const Session&, const Session&) = default;
  };
  struct Heard {
    std::vector<Session> sessions;  ///< the last kRemembered; the last is the present one
    std::uint64_t sequence = 0;     ///< of the present one's last report
  };
  static constexpr std::size_t kRemembered = 8;

  std::vector<Heard> nodes_;
};

}  // namespace tessera::control
