#include "client/use_transport.h"

#include "wire/use_protocol.h"

namespace tessera::client {

base::Result<fleet::UseReceipt> HttpUseTransport::deliver(const fleet::UseReport& report) {
  using namespace std::chrono_literals;
  const auto answer = connection_.ask({.method = "POST",
                                       .target = "/v1/agent/nodes/" + encode(report.node) + "/use",
                                       .body = wire::encode(report).dump(),
                                       .limit = 10s});
  if (!answer) return std::unexpected(answer.error());
  return wire::decode_use_receipt(answer->body);
}

}  // namespace tessera::client
