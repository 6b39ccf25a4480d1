#include "wire/forecast_object.h"
#include "wire/message.h"
#include "wire/plan_resource.h"
#include "wire/wished_demand.h"

namespace tessera::wire {
namespace {

constexpr std::size_t kMostDemands = 1'000;
constexpr std::int64_t kMostItemsOfOrder = 1'000'000;

void read_order(Fields& fields, PlanOrder& order) {
  Decoder& decoder = fields.decoder();
  if (const Value* list = fields.take("demand")) {
    if (!decoder.expect(*list, "demand", ValueKind::kList)) return;
    if (list->items.size() > kMostDemands)
      return decoder.refuse(list->line, "demand", "more than 1000 lines of demand",
                            "put like demands together with count", base::Reason::kTooLarge);
    for (std::size_t i = 0; i < list->items.size() && decoder.ok(); ++i)
      order.wish.demands.push_back(
          read_wished_demand(decoder, list->items[i], item_path("demand", i), kMostItemsOfOrder));
  }
  if (const Value* waiting = fields.take("waiting"))
    decoder.flag(*waiting, "waiting", order.wish.waiting);
  if (const Value* forecast = fields.take("forecast"))
    order.wish.forecast = read_forecast_wish(*forecast, fields.path_of("forecast"), decoder);
  fields.whole("spareGpus", 0, 10'000'000, order.wish.spare);
  fields.whole("maxParallel", 0, 100'000, order.wish.max_parallel);
  fields.name("pool", order.wish.pool);
  fields.duration("timeLimit", order.time_limit);
  fields.finish();
  if (decoder.ok() &&
      (order.time_limit <= base::Duration::zero() || order.time_limit > kLongestPlanning))
    decoder.refuse(fields.line(), "timeLimit", "a plan takes more than 0 and at most 60 seconds",
                   "write e.g. \"10s\"", base::Reason::kInvalidQuantity);
}

}  // namespace

base::Result<PlanOrder> decode_plan_order(std::string_view json, Limits limits) {
  return decode_body<PlanOrder>(json, limits, read_order);
}

base::Result<PlanApplication> decode_plan_application(std::string_view json, Limits limits) {
  return decode_body<PlanApplication>(json, limits, [](Fields& fields, PlanApplication& wanted) {
    std::string text;
    if (const Value* value = fields.take("window")) fields.decoder().text(*value, "window", text);
    if (const Value* value = fields.take("allowRestarts"))
      fields.decoder().flag(*value, "allowRestarts", wanted.allow_restarts);
    fields.finish();
    if (!fields.decoder().ok() || text.empty()) return;
    const auto read = base::parse_week_window(text);
    if (read)
      wanted.window = *read;
    else
      fields.decoder().refuse(fields.line(), "window", read.error());
  });
}

}  // namespace tessera::wire
