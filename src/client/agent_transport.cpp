#include "client/agent_transport.h"

#include "wire/agent_protocol.h"

namespace tessera::client {

base::Result<fleet::NodeTarget> AgentTransport::exchange(const fleet::NodeReport& report,
                                                         std::uint64_t since, base::Duration wait) {
  using namespace std::chrono_literals;
  const Said said{report.node, report.session, report.sequence};
  if (said_ != said) {
    said_text_ = wire::encode(report).dump();
    said_ = said;
  }
  auto answer = connection_.ask({.method = "POST",
                                 .target = "/v1/agent/nodes/" + encode(report.node) +
                                           "/report?since=" + std::to_string(since) +
                                           "&wait=" + base::to_string(wait),
                                 .body = said_text_,
                                 .limit = wait + 10s});
  if (!answer) return std::unexpected(answer.error());
  if (heard_ && answer->body == heard_text_) return *heard_;
  auto target = wire::decode_target(answer->body);
  if (target) {
    heard_ = *target;
    heard_text_ = std::move(answer->body);
  }
  return target;
}

}  // namespace tessera::client
