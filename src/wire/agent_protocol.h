#pragma once

#include <string_view>

#include "base/result.h"
#include "fleet/node_protocol.h"
#include "wire/json.h"
#include "wire/parse.h"

/// What agents and the control plane send each other, as JSON (POST /v1/agent/nodes/NAME/report).
/// Reading is strict: a message of another version is refused, never half understood. A slice's
/// shape is {"technology":"mig","instance":5}, {"technology":"time-slicing","memory","compute",
/// "oversubscription","maxTenants","isolation"}, {"technology":"vgpu","type":0} or
/// {"technology":"whole"}; instances and types are positions in the model's catalog entry. A share
/// that is latency-critical says "latencyCritical":true, others say nothing of it.
///
/// decode(encode(x)) == x, tested.
namespace tessera::wire {

/// A node has at most 64 GPUs with some dozens of slices each.
inline constexpr Limits kAgentLimits{.bytes = 4 << 20, .depth = 16};

Json encode(const fleet::NodeReport& report);
Json encode(const fleet::NodeTarget& target);
base::Result<fleet::NodeReport> decode_report(std::string_view json, Limits limits = kAgentLimits);
base::Result<fleet::NodeTarget> decode_target(std::string_view json, Limits limits = kAgentLimits);

}  // namespace tessera::wire
