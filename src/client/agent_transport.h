#pragma once

#include "agent/transport.h"
#include "client/connection.h"

namespace tessera::client {

/// The agent protocol over HTTP: POST /v1/agent/nodes/NODE/report. Threads: as Connection.
class AgentTransport final : public agent::Transport {
 public:
  explicit AgentTransport(Context context) : connection_(std::move(context)) {}

  base::Result<fleet::NodeTarget> exchange(const fleet::NodeReport& report, std::uint64_t since,
                                           base::Duration wait) override;

 private:
  Connection connection_;
};

}  // namespace tessera::client
