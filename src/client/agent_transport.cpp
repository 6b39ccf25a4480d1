#include "client/agent_transport.h"

#include "wire/agent_protocol.h"

namespace tessera::client {

base::Result<fleet::NodeTarget> AgentTransport::exchange(const fleet::NodeReport& report,
                                                         std::uint64_t since, base::Duration wait) {
  using namespace std::chrono_literals;
  const auto answer = connection_.ask({.method = "POST",
                                       .target = "/v1/agent/nodes/" + encode(report.node) +
                                                 "/report?since=" + std::to_string(since) +
                                                 "&wait=" + base::to_string(wait),
                                       .body = wire::encode(report).dump(),
                                       .limit = wait + 10s});
  if (!answer) return std::unexpected(answer.error());
  return wire::decode_target(answer->body);
}

}  // namespace tessera::client
