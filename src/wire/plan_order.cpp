#include "wire/decoder.h"
#include "wire/plan_resource.h"

namespace tessera::wire {
namespace {

constexpr std::size_t kMostDemands = 1'000;
constexpr std::int64_t kMostItems = 1'000'000;
constexpr std::int64_t kHighestValue = 1'000'000;
constexpr int kDecimals = 6;  // as planning::kUnit counts

control::WishedDemand read_demand(Decoder& decoder, const Value& value, const Path& path) {
  control::WishedDemand demand;
  Fields fields(value, path, decoder);
  fields.text("profile", demand.profile);
  fields.memory("memory", demand.memory);
  std::int64_t sms = 0;
  fields.whole("sms", 1, 100'000, sms);
  demand.sms = base::Sms(sms);
  fields.whole("count", 0, kMostItems, demand.count);
  if (const Value* worth = fields.take("value"))
    decoder.decimal(*worth, fields.path_of("value"), kDecimals, kHighestValue, demand.value);
  fields.finish();
  const bool by_memory = value.find("memory") != nullptr;
  if (decoder.ok() && (by_memory == !demand.profile.empty() || (!by_memory && sms != 0)))
    decoder.refuse(value.line, path,
                   by_memory ? "a profile and a memory contradict each other"
                             : "a demand says what it needs by profile, or by memory and sms",
                   "write either profile, or memory with or without sms");
  return demand;
}

void read_order(Decoder& decoder, Fields& fields, PlanOrder& order) {
  if (const Value* list = fields.take("demand")) {
    if (!decoder.expect(*list, "demand", ValueKind::kList)) return;
    if (list->items.size() > kMostDemands)
      return decoder.refuse(list->line, "demand", "more than 1000 lines of demand",
                            "put like demands together with count", base::Reason::kTooLarge);
    for (std::size_t i = 0; i < list->items.size() && decoder.ok(); ++i)
      order.wish.demands.push_back(read_demand(decoder, list->items[i], item_path("demand", i)));
  }
  if (const Value* waiting = fields.take("waiting"))
    decoder.flag(*waiting, "waiting", order.wish.waiting);
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
  const bool empty = json.find_first_not_of(" \t\r\n") == json.npos;
  const auto value = parse_json(empty ? "{}" : json, {}, limits);
  if (!value) return std::unexpected(value.error());
  Decoder decoder{std::string()};
  Fields fields(*value, {}, decoder);
  PlanOrder order;
  read_order(decoder, fields, order);
  if (!decoder.ok()) return decoder.error();
  return order;
}

}  // namespace tessera::wire
