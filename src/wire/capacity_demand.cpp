#include "wire/capacity_demand.h"

#include <algorithm>
#include <set>

#include "wire/decode_spec.h"
#include "wire/decoder.h"
#include "wire/document.h"
#include "wire/text.h"
#include "wire/tree_builder.h"
#include "wire/wished_demand.h"

namespace tessera::wire {
namespace {

using base::MicroMoney;
using catalog::Isolation;
using catalog::Technology;
using control::CapacityDemand;
using control::DemandLine;
using enum Presence;

constexpr std::size_t kMostLines = 64;
constexpr std::size_t kMostModels = 16;
constexpr std::int64_t kMostSlots = 1'000'000;
constexpr std::int64_t kMillion = 1'000'000;
/// Of a price, in millionths of the currency unit: sums over any fleet stay countable.
constexpr std::int64_t kHighestPurchase = 10'000'000 * kMillion;
constexpr std::int64_t kHighestHourly = 1'000 * kMillion;

constexpr std::initializer_list<Isolation> kIsolations = {
    Isolation::kShared, Isolation::kLimited, Isolation::kVirtual, Isolation::kPartition,
    Isolation::kDedicated};

class DemandReader {
 public:
  DemandReader(Decoder& decoder, const std::string& source, const catalog::Catalog& catalog)
      : decoder_(decoder), source_(source), catalog_(catalog) {}

  CapacityDemand read(const Value& value) {
    Fields document(value, "", decoder_);
    std::string version(kApiVersion), kind = "CapacityDemand";
    document.text("apiVersion", version);
    document.text("kind", kind);
    document.ignore("metadata");
    if (kind != "CapacityDemand")
      decoder_.refuse(value.line, "kind", "\"" + clip(kind) + "\" is not a CapacityDemand",
                      "write kind: CapacityDemand");
    if (version != kApiVersion)
      decoder_.refuse(value.line, "apiVersion",
                      "\"" + clip(version) + "\" is not a version known here",
                      "write " + std::string(kApiVersion));
    if (const Value* spec = document.take("spec", kRequired)) read_spec(*spec);
    document.finish();
    return std::move(demand_);
  }

 private:
  void read_spec(const Value& value) {
    Fields spec(value, "spec", decoder_);
    read_level(spec, level_);
    if (const Value* list = spec.take("demand", kRequired)) read_lines(*list);
    if (const Value* list = spec.take("gpus")) read_gpus(*list);
    spec.whole("years", 1, 20, demand_.years);
    if (const Value* vgpu = spec.take("vgpu")) read_vgpu(*vgpu);
    if (const Value* slicing = spec.take("timeSlicing")) read_time_slicing(*slicing);
    if (const Value* mig = spec.take("mig")) {
      Fields fields(*mig, "spec.mig", decoder_);
      read_serves(fields, Technology::kMig);
      fields.finish();
    }
    spec.finish();
  }

  bool list_within(const Value& value, const Path& path, std::size_t most) {
    if (!decoder_.expect(value, path, ValueKind::kList)) return false;
    if (value.items.empty())
      decoder_.refuse(value.line, path, "this list is empty", "write at least one entry");
    if (value.items.size() > most)
      decoder_.refuse(value.line, path,
                      "this list has " + std::to_string(value.items.size()) +
                          " entries, more than " + std::to_string(most),
                      "merge those that are nearly alike", base::Reason::kTooLarge);
    return decoder_.ok();
  }

  /// "99.5%" with at most `decimals` decimals, in units of 10^-decimals of a percent.
  void read_percent(const Value& value, const Path& path, int decimals, std::int64_t most,
                    std::int64_t& out) {
    if (value.kind != ValueKind::kNumber && !decoder_.expect(value, path, ValueKind::kText)) return;
    std::string_view text = value.text;
    const bool percent = text.ends_with('%');
    if (percent) text.remove_suffix(1);
    const auto read = percent ? decimal_from(text, decimals) : std::nullopt;
    if (read && *read <= most) {
      out = *read;
      return;
    }
    std::int64_t unit = 1;
    for (int i = 0; i < decimals; ++i) unit *= 10;
    const std::string last =
        std::to_string(most / unit) + (most % unit == 0 ? "" : "." + std::to_string(most % unit));
    decoder_.refuse(value.line, path,
                    "\"" + clip(value.text) + "\" is not a percentage from 0% to " + last + "%",
                    "write e.g. 10%", base::Reason::kInvalidQuantity);
  }

  void read_level(Fields& fields, std::int64_t& out) {
    // 100 % would take slots without end.
    if (const Value* level = fields.take("serviceLevel"))
      read_percent(*level, fields.path_of("serviceLevel"), 4, planning::kEveryArrival - 1, out);
  }

  void read_money(Fields& fields, std::string_view key, std::int64_t most,
                  std::optional<MicroMoney>& out) {
    const Value* value = fields.take(key);
    if (value == nullptr) return;
    std::int64_t millionths = 0;
    decoder_.decimal(*value, fields.path_of(key), 6, most, millionths);
    if (decoder_.ok()) out = MicroMoney(millionths);
  }

  void read_lines(const Value& list) {
    if (!list_within(list, "spec.demand", kMostLines)) return;
    for (std::size_t i = 0; i < list.items.size() && decoder_.ok(); ++i)
      read_line(list.items[i], item_path("spec.demand", i));
  }

  void read_line(const Value& value, const Path& path) {
    Fields fields(value, path, decoder_);
    DemandLine line{.level = level_, .where = where(value.line, path)};
    std::int64_t sms = 0;
    fields.name("tier", line.tier, kRequired);
    fields.text("profile", line.profile);
    fields.memory("memory", line.memory);
    fields.whole("sms", 1, 100'000, sms);
    line.sms = base::Sms(sms);
    Isolation isolation{};
    fields.choice("isolation", kIsolations, isolation);
    if (fields.has("isolation")) line.isolation = isolation;
    fields.whole("count", 0, kMostSlots, line.count);
    read_arrivals(fields, line);
    if (const Value* worth = fields.take("value"))
      decoder_.decimal(*worth, fields.path_of("value"), kValueDecimals, kHighestValue, line.value);
    fields.finish();
    if (decoder_.ok()) refuse_contradictions(value, path, line);
    demand_.lines.push_back(std::move(line));
  }

  std::string where(int line, const Path& path) const {
    return (source_.empty() ? "" : place_of(source_, line) + " ") + path;
  }

  void read_arrivals(Fields& fields, DemandLine& line) {
    planning::Arrivals arrivals;
    const Value* rate = fields.take("arrivalsPerHour");
    if (rate != nullptr)
      decoder_.decimal(*rate, fields.path_of("arrivalsPerHour"), 3, kMillion * 1000,
                       arrivals.per_hour);
    const bool timed = fields.has("meanDuration");
    fields.duration("meanDuration", arrivals.mean);
    const bool levelled = fields.has("serviceLevel");
    read_level(fields, line.level);
    if (!decoder_.ok()) return;
    if (rate == nullptr && (timed || levelled))
      return decoder_.refuse(fields.line(), fields.path_of(timed ? "meanDuration" : "serviceLevel"),
                             "this says something about arrivals, and there are none",
                             "add arrivalsPerHour, or remove it");
    if (rate == nullptr) return;
    if (!timed)
      return decoder_.refuse(fields.line(), fields.path_of("meanDuration"),
                             "\"meanDuration\" is missing", "say how long one of them stays");
    if (fields.has("count"))
      return decoder_.refuse(fields.line(), fields.path_of("count"),
                             "a count and arrivals contradict each other",
                             "write either count, or arrivalsPerHour and meanDuration");
    if (arrivals.per_hour == 0 || arrivals.mean.count() == 0)
      return decoder_.refuse(
          fields.line(),
          fields.path_of(arrivals.per_hour == 0 ? "arrivalsPerHour" : "meanDuration"),
          "0 means that nothing is asked for", "write more, or leave it out",
          base::Reason::kInvalidQuantity);
    line.arrivals = arrivals;
  }

  void refuse_contradictions(const Value& value, const Path& path, const DemandLine& line) {
    const bool by_memory = value.find("memory") != nullptr;
    if (by_memory == !line.profile.empty() || (!by_memory && line.sms.count() != 0))
      return decoder_.refuse(value.line, path,
                             by_memory
                                 ? "a profile and a memory contradict each other"
                                 : "a demand says what it needs by profile, or by memory and sms",
                             "write either profile, or memory with or without sms");
    if (by_memory && line.memory.count() == 0)
      return decoder_.refuse(value.line, member_path(path, "memory"), "a slot of no memory is none",
                             "write how much it needs", base::Reason::kInvalidQuantity);
    if (line.value == 0)
      decoder_.refuse(value.line, member_path(path, "value"),
                      "what is worth nothing is not asked for",
                      "write a value above 0, or leave it out", base::Reason::kInvalidQuantity);
    if (line.isolation == Isolation::kDedicated && !line.profile.empty())
      decoder_.refuse(value.line, member_path(path, "isolation"),
                      "a MIG profile is never a dedicated GPU", "ask for memory, or for less");
  }

  void read_gpus(const Value& list) {
    if (!list_within(list, "spec.gpus", kMostModels)) return;
    std::set<catalog::ModelIndex> seen;
    for (std::size_t i = 0; i < list.items.size() && decoder_.ok(); ++i) {
      const Path path = item_path("spec.gpus", i);
      Fields gpu(list.items[i], path, decoder_);
      control::GpuOption option;
      const Value* model = gpu.take("model", kRequired);
      if (model != nullptr)
        read_model(decoder_, *model, member_path(path, "model"), catalog_, option.model);
      read_money(gpu, "pricePerHour", kHighestHourly, option.per_hour);
      read_money(gpu, "price", kHighestPurchase, option.purchase);
      gpu.finish();
      if (!decoder_.ok()) return;
      if (option.per_hour && option.purchase)
        return decoder_.refuse(list.items[i].line, member_path(path, "price"),
                               "a price per hour and a purchase price contradict each other",
                               "write one of them");
      if (!seen.insert(option.model).second)
        return decoder_.refuse(list.items[i].line, member_path(path, "model"),
                               catalog_.model(option.model).key + " appears twice",
                               "remove one of them");
      demand_.gpus.push_back(option);
    }
  }

  void read_vgpu(const Value& value) {
    Fields vgpu(value, "spec.vgpu", decoder_);
    constexpr std::int64_t kMostOverhead = 500;
    if (const Value* overhead = vgpu.take("overhead"))
      read_percent(*overhead, vgpu.path_of("overhead"), 1, kMostOverhead,
                   demand_.terms.vgpu_overhead);
    std::optional<MicroMoney> per_gpu, per_user;
    read_money(vgpu, "licencePerGpuYear", kHighestPurchase, per_gpu);
    read_money(vgpu, "licencePerUserYear", kHighestPurchase, per_user);
    demand_.terms.licence_per_gpu = per_gpu.value_or(MicroMoney());
    demand_.terms.licence_per_user = per_user.value_or(MicroMoney());
    read_serves(vgpu, Technology::kVgpu);
    vgpu.finish();
  }

  void read_time_slicing(const Value& value) {
    Fields slicing(value, "spec.timeSlicing", decoder_);
    if (const Value* tiers = slicing.take("oversubscription")) {
      const Path path = slicing.path_of("oversubscription");
      if (!decoder_.expect(*tiers, path, ValueKind::kMap)) return;
      for (const Member& member : tiers->members) {
        std::int64_t times = 1;
        decoder_.whole(member.value, member_path(path, clip(member.key)), 1, 64, times);
        refuse_unknown_tier(member, path);
        demand_.terms.oversubscription[member.key] = static_cast<int>(times);
      }
    }
    read_serves(slicing, Technology::kTimeSlicing);
    slicing.finish();
  }

  /// Only of tiers that something is asked of.
  void refuse_unknown_tier(const Member& member, const Path& path) {
    if (std::ranges::any_of(demand_.lines,
                            [&](const DemandLine& line) { return line.tier == member.key; }))
      return;
    decoder_.refuse(member.line, member_path(path, clip(member.key)),
                    "nothing is asked of tier \"" + clip(member.key) + "\"",
                    "name a tier of spec.demand");
  }

  /// Which isolation a technique may serve: never more than it keeps.
  void read_serves(Fields& fields, Technology technology) {
    if (!fields.has("serves")) return fields.ignore("serves");
    std::vector<Isolation> serves;
    fields.choices("serves", kIsolations, serves);
    if (!decoder_.ok()) return;
    for (const Isolation one : serves)
      if (one > control::kept_by(technology))
        return decoder_.refuse(
            fields.line(), fields.path_of("serves"),
            std::string(to_string(technology)) + " never gives " + std::string(to_string(one)),
            "it keeps " + std::string(to_string(control::kept_by(technology))) + " at most");
    demand_.terms.serves[technology] = std::move(serves);
  }

  Decoder& decoder_;
  const std::string& source_;
  const catalog::Catalog& catalog_;
  CapacityDemand demand_;
  std::int64_t level_ = DemandLine{}.level;
};

}  // namespace

base::Result<CapacityDemand> decode_capacity_demand(std::string_view text,
                                                    const std::string& source,
                                                    const catalog::Catalog& catalog,
                                                    Limits limits) {
  const auto values = parse(text, source, limits);
  if (!values) return std::unexpected(values.error());
  if (values->size() != 1)
    return base::fail(base::Reason::kInvalidDocument,
                      "there are " + std::to_string(values->size()) + " documents, expected one",
                      source, "write exactly one CapacityDemand");
  Decoder decoder(source);
  CapacityDemand demand = DemandReader(decoder, source, catalog).read(values->front());
  if (!decoder.ok()) return decoder.error();
  return demand;
}

}  // namespace tessera::wire
