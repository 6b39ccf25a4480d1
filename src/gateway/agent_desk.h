#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gateway/http_server.h"
#include "service/engine.h"

namespace tessera::gateway {

/// Where agents wait for news: answers a report with the node's target, at once if the agent has
/// an older one, else when it changes or the wait is over. Waiting costs no thread.
///
/// A target's moment here is that of its last change, not of the state it was read from: otherwise
/// every step anywhere would wake every agent.
///
/// Threads: any. The engine must outlive the desk.
class AgentDesk {
 public:
  explicit AgentDesk(service::Engine& engine);
  ~AgentDesk();
  AgentDesk(const AgentDesk&) = delete;
  AgentDesk& operator=(const AgentDesk&) = delete;

  /// Answers `exchange` with the NodeTarget of `node` once it is newer than `since`, at the latest
  /// after `wait`; at once where `heard` is not the control plane's present process, because what
  /// the agent says does not count until it knows that one.
  void answer(const std::shared_ptr<Exchange>& exchange, const std::string& node,
              fleet::Moment since, std::uint64_t heard, std::chrono::milliseconds wait);
  /// Answers all who wait, kUnavailable.
  void stop();

 private:
  struct Waiting {
    std::shared_ptr<Exchange> exchange;
    fleet::Moment since;
  };
  struct Known {
    std::string content;  ///< the target's text without its moment
    fleet::Moment moment;
  };

  void on_news();
  void recheck(const std::string& node);
  /// The target as it is now; kUnknownObject when there is no such node.
  base::Result<fleet::NodeTarget> current(const std::string& node);

  service::Engine& engine_;
  std::uint64_t seen_;  ///< of the feed; on the engine's thread only

  std::mutex targets_mutex_;  ///< held while a target is read, so that they are compared in order
  std::map<std::string, Known> targets_;

  std::mutex waiting_mutex_;  ///< taken by the engine's thread: never held while reading the state
  std::map<std::string, std::vector<Waiting>> waiting_;
  bool stopped_ = false;

  service::ChangeFeed::Listening listening_;
};

}  // namespace tessera::gateway
