#pragma once

#include "control/forecast.h"
#include "wire/decoder.h"
#include "wire/json.h"

/// What was asked for, and what is expected to be (docs/planning.md).
namespace tessera::wire {

/// {"percentile","over","at","for","headroom"}, all optional. Whole only while the decoder is ok().
control::ForecastWish read_forecast_wish(const Value& value, const Path& path, Decoder& decoder);

/// As a plan stores it and GET /v1/forecast answers it, without its envelope.
Json forecast_json(const control::Forecast& forecast);
/// GET /v1/history: the last `hours` whole hours before the present one.
Json history_object(const control::DemandHistory& history, base::Instant now, std::uint32_t hours);

}  // namespace tessera::wire
