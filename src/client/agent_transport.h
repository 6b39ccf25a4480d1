#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "agent/transport.h"
#include "client/connection.h"

namespace tessera::client {

/// The agent protocol over HTTP: POST /v1/agent/nodes/NODE/report. Threads: as Connection.
///
/// Once a second the same report is sent and the same target comes back, nearly always: neither is
/// put into words or read a second time.
class AgentTransport final : public agent::Transport {
 public:
  explicit AgentTransport(Context context) : connection_(std::move(context)) {}

  base::Result<fleet::NodeTarget> exchange(const fleet::NodeReport& report, std::uint64_t since,
                                           base::Duration wait) override;

 private:
  Connection connection_;
  using Said = std::tuple<std::string, std::uint64_t, std::uint64_t>;  ///< node, session, sequence
  std::optional<Said> said_;
  std::string said_text_;  ///< what `said_` is in words
  std::optional<fleet::NodeTarget> heard_;
  std::string heard_text_;  ///< what `heard_` was read from
};

}  // namespace tessera::client
