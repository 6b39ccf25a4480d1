#pragma once

#include "catalog/gpu_model.h"
#include "control/state.h"
#include "fleet/slice.h"
#include "wire/json.h"

/// What the API's objects share.
namespace tessera::wire {

/// {technology, profile, start, memory, sms}; `start` is null where a slice has no fixed place.
Json slice_json(const fleet::SliceShape& shape, const catalog::GpuModel& model);

/// The text, or null when there is none.
Json text_or_null(std::string_view text);

/// The moment, or null when there is none.
Json instant_json(base::Instant instant);

/// A value, counted in planning::kUnit, as the number that it is.
Json amount_json(std::int64_t millionths);

/// {"apiVersion","kind","metadata":{"name"},"spec","status"}.
Json envelope(std::string_view kind, std::string_view name, Json spec, Json status);

}  // namespace tessera::wire
