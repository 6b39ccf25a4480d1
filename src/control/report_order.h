#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fleet/node_protocol.h"

namespace tessera::control {

/// Which of a node's reports was the last: an older one that arrives late, and one that arrives
/// twice, say nothing any more.
///
/// Reports of one agent process are in order by their sequence. Which of two processes is the later
/// one no number tells, because clocks can be set back, and neither does who was heard later, since
/// messages can be late by any time. So a report counts only if it repeats the number of the
/// control plane's process that reads it, which its agent learnt from an answer: what was sent
/// before this process began does not. And whoever repeats it was alive after its first report had
/// come. So of those that ever did, the one whose first report came last is the living one.
///
/// Remembered by whoever decides, and no part of the state: after a restart every agent is asked
/// anew.
class ReportOrder {
 public:
  /// Does the report tell `process`, the one that reads it, something newer than all before it? One
  /// without a sequence always does.
  bool fresh(const fleet::NodeReport& report, std::uint64_t process) const;
  /// Takes note of a report, fresh or not.
  void note(const fleet::NodeReport& report, std::uint64_t process);

 private:
  /// One agent process on one boot of the machine.
  struct Session {
    std::string boot;
    std::uint64_t number = 0;
    std::uint64_t sequence = 0;  ///< of its last report that counted; 0: none did
    bool is_of(const fleet::NodeReport& report) const {
      return boot == report.boot && number == report.session;
    }
  };
  static constexpr std::size_t kRemembered = 8;

  /// By name, because a machine that is deleted and declared anew goes on talking: of each the last
  /// kRemembered, in the order of their first reports.
  std::map<std::string, std::vector<Session>, std::less<>> nodes_;
};

}  // namespace tessera::control
