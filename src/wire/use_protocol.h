#pragma once

#include <string_view>

#include "base/result.h"
#include "fleet/use.h"
#include "wire/agent_protocol.h"
#include "wire/json.h"
#include "wire/parse.h"

/// How agents tell the control plane what was used, as JSON (POST /v1/agent/nodes/NAME/use):
/// {"node","stream","batches":[{"sequence","leases":[{"lease","busyMicroseconds",
/// "memoryMibMilliseconds","energyMicrojoules","measuredMilliseconds"}]}]}, answered with
/// {"stream","sequence"}. Reading is strict, as of all of the agent protocol.
///
/// decode(encode(x)) == x, tested.
namespace tessera::wire {

Json encode(const fleet::UseReport& report);
Json encode(const fleet::UseReceipt& receipt);
/// Refuses sequences that do not rise by one, and a lease twice in a batch.
base::Result<fleet::UseReport> decode_use_report(std::string_view json,
                                                 Limits limits = kAgentLimits);
base::Result<fleet::UseReceipt> decode_use_receipt(std::string_view json,
                                                   Limits limits = kAgentLimits);

}  // namespace tessera::wire
