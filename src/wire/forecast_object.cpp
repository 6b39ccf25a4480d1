#include "wire/forecast_object.h"

#include <algorithm>

#include "wire/document.h"
#include "wire/objects.h"

namespace tessera::wire {
namespace {

using control::DemandHistory;
using control::Forecast;
using control::ForecastLine;
using control::ForecastWish;

constexpr std::int64_t kMostHours = 24;
constexpr int kHeadroomDecimals = 3;
constexpr std::int64_t kMostHeadroom = 10 * ForecastWish::kNoHeadroom;

/// A span in whole hours.
void read_hours(Fields& fields, std::string_view key, std::int64_t most, const std::string& range,
                std::uint32_t& out) {
  base::Duration span = std::chrono::hours(out);
  fields.duration(key, span);
  const auto hours = std::chrono::floor<std::chrono::hours>(span);
  if (!fields.decoder().ok()) return;
  if (hours != span || hours.count() < 1 || hours.count() > most)
    return fields.decoder().refuse(fields.line(), fields.path_of(key),
                                   "\"" + std::string(key) + "\" is whole hours, " + range,
                                   "write e.g. \"4h\" or \"2w\"", base::Reason::kInvalidQuantity);
  out = static_cast<std::uint32_t>(hours.count());
}

Json shape_json(const control::DemandShape& shape) {
  Json json = {{"tier", shape.tier}, {"size", size_of(shape)}};
  if (shape.memory.count() > 0) json["memory"] = base::to_string(shape.memory);
  if (shape.sms.count() > 0) json["sms"] = shape.sms.count();
  if (shape.compute.count() > 0)
    json["computePercent"] = static_cast<double>(shape.compute.count()) / 10;
  if (!shape.pool.empty()) json["pool"] = shape.pool;
  if (!shape.models.empty()) json["models"] = shape.models;
  return json;
}

Json line_json(const ForecastLine& line) {
  Json json = shape_json(line.shape);
  json.update({{"waiting", line.waiting},
               {"held", line.held},
               {"usual", line.usual},
               {"expected", line.expected},
               {"more", line.more}});
  return json;
}

}  // namespace

ForecastWish read_forecast_wish(const Value& value, const Path& path, Decoder& decoder) {
  ForecastWish wish;
  Fields fields(value, path, decoder);
  fields.whole("percentile", 1, 100, wish.percentile);
  read_hours(fields, "over", DemandHistory::kHours, "1h to 5w", wish.over);
  read_hours(fields, "for", kMostHours, "1h to 24h", wish.hours);
  std::string at = "now";
  fields.text("at", at);
  if (const Value* headroom = fields.take("headroom"))
    decoder.decimal(*headroom, fields.path_of("headroom"), kHeadroomDecimals, kMostHeadroom,
                    wish.headroom);
  fields.finish();
  if (!decoder.ok() || at == "now") return wish;
  const auto time = base::parse_week_time(at);
  if (time)
    wish.at = *time;
  else
    decoder.refuse(fields.line(), fields.path_of("at"), time.error());
  return wish;
}

Json forecast_json(const Forecast& forecast) {
  const auto& wish = forecast.wish;
  Json lines = Json::array();
  for (const auto& line : forecast.lines) lines.push_back(line_json(line));
  const bool known = forecast.known_from != base::Instant{};
  return {{"percentile", wish.percentile},
          {"over", base::to_string(base::Duration(std::chrono::hours(wish.over)))},
          {"headroom", static_cast<double>(wish.headroom) / ForecastWish::kNoHeadroom},
          {"from", base::to_string(forecast.from)},
          {"until", base::to_string(forecast.from + std::chrono::hours(wish.hours))},
          {"knownFrom", known ? Json(base::to_string(forecast.known_from)) : Json(nullptr)},
          {"basis", to_string(forecast.basis)},
          {"samples", forecast.samples},
          {"message", describe_basis(forecast)},
          {"lines", std::move(lines)},
          {"other",
           {{"now", forecast.other.waiting + forecast.other.held},
            {"usual", forecast.other.usual},
            {"expected", forecast.other.expected}}}};
}

Json history_object(const DemandHistory& history, base::Instant now, std::uint32_t hours) {
  const auto present = control::hour_of(now);
  const auto since = std::min(present, history.since().value_or(present));
  const auto from = std::max(since, present - std::min(present, hours));
  const auto peaks = [&](const control::DemandSeries& series, std::int64_t level) {
    Json list = Json::array();
    for (auto hour = from; hour < present; ++hour)
      list.push_back(history.peak(series, level, hour));
    return list;
  };
  Json series = Json::array();
  for (const auto& [shape, one] : history.series()) {
    const auto level = history.level(shape);
    Json json = shape_json(shape);
    json.update({{"waiting", level.waiting}, {"held", level.held}});
    json["peaks"] = peaks(one, level.all());
    series.push_back(std::move(json));
  }
  return {
      {"apiVersion", kApiVersion},
      {"kind", "DemandHistory"},
      {"from", base::to_string(control::start_of(from))},
      {"hours", present - from},
      {"series", std::move(series)},
      {"other",
       {{"now", history.other_level()}, {"peaks", peaks(history.other(), history.other_level())}}}};
}

}  // namespace tessera::wire
