#pragma once

#include "agent/use_transport.h"
#include "client/connection.h"

namespace tessera::client {

/// POST /v1/agent/nodes/NODE/use. Threads: as Connection, which is its own.
class HttpUseTransport final : public agent::UseTransport {
 public:
  explicit HttpUseTransport(Context context) : connection_(std::move(context)) {}
  base::Result<fleet::UseReceipt> deliver(const fleet::UseReport& report) override;

 private:
  Connection connection_;
};

}  // namespace tessera::client
