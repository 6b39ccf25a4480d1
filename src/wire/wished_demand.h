#pragma once

#include <cstdint>

#include "control/plan_draft.h"
#include "wire/decoder.h"

/// One line of demand, as plan inputs and the body of POST /v1/plans write it.
namespace tessera::wire {

/// The decimals of a value or a weight: planning::kUnit counts millionths.
inline constexpr int kValueDecimals = 6;
inline constexpr std::int64_t kHighestValue = 1'000'000 * planning::kUnit;

/// {"profile" | "memory"[, "sms"], "count", "value"}: what is needed, how often (at most `most`
/// times) and what serving one is worth. Only whole when the decoder is still ok().
control::WishedDemand read_wished_demand(Decoder& decoder, const Value& value, const Path& path,
                                         std::int64_t most);

}  // namespace tessera::wire
