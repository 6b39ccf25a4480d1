#include "wire/slice_json.h"

#include "planning/problem.h"
#include "wire/document.h"

namespace tessera::wire {

namespace {

/// What the slice itself keeps apart; the tier that promised it may ask for less.
catalog::Isolation isolation_of(const fleet::SliceShape& shape) {
  if (const auto* share = std::get_if<fleet::ShareSlice>(&shape)) return share->isolation;
  if (std::holds_alternative<fleet::VgpuSlice>(shape)) return catalog::Isolation::kVirtual;
  if (std::holds_alternative<fleet::MigSlice>(shape)) return catalog::Isolation::kPartition;
  return catalog::Isolation::kDedicated;
}

}  // namespace

Json slice_json(const fleet::SliceShape& shape, const catalog::GpuModel& model) {
  Json start;
  if (const auto* mig = std::get_if<fleet::MigSlice>(&shape))
    start = model.layouts.instance(mig->instance).placement.start;
  else if (std::holds_alternative<fleet::WholeSlice>(shape))
    start = 0;
  return {{"technology", to_string(technology_of(shape))},
          {"isolation", to_string(isolation_of(shape))},
          {"profile", profile_name(shape, model)},
          {"start", std::move(start)},
          {"memory", base::to_string(memory_of(shape, model))},
          {"sms", sms_of(shape, model).count()}};
}

Json text_or_null(std::string_view text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json instant_json(base::Instant instant) {
  return instant == base::Instant{} ? Json(nullptr) : Json(base::to_string(instant));
}

Json amount_json(std::int64_t millionths) {
  if (millionths % planning::kUnit == 0) return millionths / planning::kUnit;
  return static_cast<double>(millionths) / static_cast<double>(planning::kUnit);
}

Json envelope(std::string_view kind, std::string_view name, Json spec, Json status) {
  return {{"apiVersion", kApiVersion},
          {"kind", kind},
          {"metadata", {{"name", name}}},
          {"spec", std::move(spec)},
          {"status", std::move(status)}};
}

}  // namespace tessera::wire
