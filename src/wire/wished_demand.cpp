#include "wire/wished_demand.h"

namespace tessera::wire {

control::WishedDemand read_wished_demand(Decoder& decoder, const Value& value, const Path& path,
                                         std::int64_t most) {
  control::WishedDemand demand;
  Fields fields(value, path, decoder);
  std::int64_t sms = 0;
  fields.text("profile", demand.profile);
  fields.memory("memory", demand.memory);
  fields.whole("sms", 1, 100'000, sms);
  fields.whole("count", 0, most, demand.count);
  if (const Value* worth = fields.take("value"))
    decoder.decimal(*worth, fields.path_of("value"), kValueDecimals, kHighestValue, demand.value);
  fields.finish();
  demand.sms = base::Sms(sms);
  const bool by_memory = value.find("memory") != nullptr;
  if (decoder.ok() && (by_memory == !demand.profile.empty() || (!by_memory && sms != 0)))
    decoder.refuse(value.line, path,
                   by_memory ? "a profile and a memory contradict each other"
                             : "a demand says what it needs by profile, or by memory and sms",
                   "write either profile, or memory with or without sms");
  return demand;
}

}  // namespace tessera::wire
