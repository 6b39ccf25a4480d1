#include "wire/decode_spec.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <set>

#include "wire/document.h"

namespace tessera::wire {
namespace {

using namespace std::chrono_literals;
using base::GpuFraction;
using base::MilliShare;
using catalog::Isolation;
using catalog::Technology;
using enum Presence;

constexpr std::initializer_list<Isolation> kIsolations = {
    Isolation::kShared, Isolation::kLimited, Isolation::kVirtual, Isolation::kPartition,
    Isolation::kDedicated};

/// The techniques that keep a promise when a tier names none, cheapest first.
std::vector<Technology> usual_technologies(Isolation isolation) {
  switch (isolation) {
    case Isolation::kShared:
    case Isolation::kLimited:
      return {Technology::kTimeSlicing};
    case Isolation::kVirtual:
      return {Technology::kVgpu, Technology::kMig};
    case Isolation::kPartition:
      return {Technology::kMig, Technology::kWhole};
    case Isolation::kDedicated:
      return {Technology::kWhole};
  }
  return {};
}

/// "3.5" GPUs. Exact: a thousandth of a GPU is 21 of GpuFraction's units.
void read_gpus(Decoder& decoder, const Value& value, const Path& path, GpuFraction& out) {
  constexpr std::int64_t kMostThousandths = 1'000'000'000;
  std::int64_t thousandths = 0;
  decoder.decimal(value, path, 3, kMostThousandths, thousandths);
  if (decoder.ok()) out = GpuFraction(thousandths * (base::kWholeGpu.count() / 1000));
}

/// A number of GPUs, or compute and memory apart.
void read_cost(Decoder& decoder, const Value& value, const Path& path, fleet::Cost& out) {
  if (value.kind != ValueKind::kMap) {
    read_gpus(decoder, value, path, out.compute);
    out.memory = out.compute;
    return;
  }
  Fields fields(value, path, decoder);
  if (const Value* compute = fields.take("compute", kRequired))
    read_gpus(decoder, *compute, fields.path_of("compute"), out.compute);
  if (const Value* memory = fields.take("memory", kRequired))
    read_gpus(decoder, *memory, fields.path_of("memory"), out.memory);
  fields.finish();
}

tenancy::Quota read_quota(Decoder& decoder, const Value& value, const Path& path) {
  tenancy::Quota quota;
  Fields fields(value, path, decoder);
  if (const Value* guaranteed = fields.take("guaranteed"))
    read_cost(decoder, *guaranteed, fields.path_of("guaranteed"), quota.guaranteed);
  if (const Value* limit = fields.take("limit"))
    read_cost(decoder, *limit, fields.path_of("limit"), quota.limit.emplace());
  fields.whole("weight", 1, 1'000'000, quota.weight);
  fields.finish();
  if (quota.limit && !quota.guaranteed.within(*quota.limit))
    decoder.refuse(value.line, path, "the guarantee is larger than the limit",
                   "raise limit or lower guaranteed");
  return quota;
}

void read_auto_approval(Fields& spec, tenancy::Tier& tier) {
  const Value* value = spec.take("autoApprove");
  if (value == nullptr) return;
  Decoder& decoder = spec.decoder();
  Fields fields(*value, spec.path_of("autoApprove"), decoder);
  tenancy::AutoApproval approval;
  if (const Value* share = fields.take("share", kRequired))
    read_gpus(decoder, *share, fields.path_of("share"), approval.share);
  fields.duration("duration", approval.duration, kRequired);
  fields.finish();
  tier.auto_approval = approval;
}

void check_tier(Fields& spec, const tenancy::Tier& tier) {
  Decoder& decoder = spec.decoder();
  const auto refuse = [&](std::string_view key, std::string what, std::string todo) {
    decoder.refuse(spec.line(), spec.path_of(key), std::move(what), std::move(todo));
  };
  if (tier.technologies.empty())
    refuse("technologies", "a tier without a technology can give nothing", "name at least one");
  for (const Technology technology : tier.technologies) {
    if (tier.isolation_with(technology)) continue;
    refuse("technologies",
           std::string(to_string(technology)) + " does not give the isolation \"" +
               std::string(to_string(tier.isolation)) + "\" that the tier promises",
           "remove it or promise a weaker isolation");
  }
  if (tier.latency_critical &&
      tier.isolation_with(Technology::kTimeSlicing) != catalog::Isolation::kLimited)
    refuse("latencyCritical", "only guarded time-slicing can let one tenant go before others",
           "promise the isolation limited with the technology time-slicing, or remove it");
  if (tier.slot.count() == 0) refuse("slot", "a slot of 0 cannot be counted", "write e.g. 10GB");
  if (tier.default_duration <= 0ms || tier.max_duration <= 0ms)
    refuse("maxDuration", "a lease must last longer than 0", "write e.g. 8h");
  if (tier.default_duration > tier.max_duration)
    refuse("defaultDuration", "it is longer than maxDuration", "shorten it or raise maxDuration");
}

/// "4g.40gb@0" of `model`.
std::optional<catalog::InstanceIndex> read_instance(Decoder& decoder, const Value& value,
                                                    const Path& path,
                                                    const catalog::GpuModel& model) {
  std::string text;
  decoder.text(value, path, text);
  if (!decoder.ok()) return std::nullopt;
  const auto refuse = [&](std::string what, std::string todo) {
    decoder.refuse(value.line, path, std::move(what), std::move(todo),
                   base::Reason::kInvalidLayout);
    return std::nullopt;
  };
  const auto at = text.find('@');
  const auto start = at == text.npos ? std::nullopt : decimal_from(text.substr(at + 1), 0);
  if (!start || *start > 64)
    return refuse("\"" + clip(text) + "\" is not a place", "write PROFILE@START, as 4g.40gb@0");
  const std::string name = text.substr(0, at);
  const auto profile = model.find_profile(name);
  if (!profile) {
    std::vector<std::string_view> names;
    for (const auto& known : model.profiles) names.push_back(known.name);
    const auto near = nearest(name, names);
    return refuse(
        model.key + " has no profile \"" + clip(name) + "\"",
        near ? "did you mean \"" + std::string(*near) + "\"?" : "its profiles are " + join(names));
  }
  if (const auto found = model.find_instance(name, static_cast<int>(*start))) return found;
  std::string starts;
  for (const auto& placement : model.profiles[*profile].placements)
    starts += (starts.empty() ? "" : ", ") + std::to_string(placement.start);
  return refuse(name + " cannot start at " + std::to_string(*start) + " on " + model.key,
                "it may start at " + starts);
}

catalog::Layout read_instances(Decoder& decoder, const Value& list, const Path& path,
                               const catalog::GpuModel& model) {
  catalog::Layout layout = 0;
  if (!decoder.expect(list, path, ValueKind::kList)) return layout;
  for (std::size_t i = 0; i < list.items.size() && decoder.ok(); ++i) {
    const Path item = item_path(path, i);
    const auto instance = read_instance(decoder, list.items[i], item, model);
    if (!instance) break;
    if ((layout & model.layouts.conflicts(*instance)) != 0)
      decoder.refuse(list.items[i].line, item,
                     clip(list.items[i].text) + " overlaps an instance named before it",
                     "give each instance a part of the GPU's memory of its own",
                     base::Reason::kInvalidLayout);
    else if (!model.layouts.legal(layout | catalog::bit(*instance)))
      decoder.refuse(list.items[i].line, item,
                     model.key + " allows no further " + model.profile_of(*instance).name,
                     "use fewer of them", base::Reason::kInvalidLayout);
    layout |= catalog::bit(*instance);
  }
  return layout;
}

void read_layout(Fields& spec, const catalog::GpuModel& model, fleet::Pool& pool) {
  const Value* value = spec.take("layout");
  if (value == nullptr) return;
  using fleet::LayoutPolicy;
  Decoder& decoder = spec.decoder();
  Fields fields(*value, spec.path_of("layout"), decoder);
  fields.choice("policy", {LayoutPolicy::kOnDemand, LayoutPolicy::kStatic}, pool.layout_policy);
  const Value* instances = fields.take("instances");
  fields.finish();
  if (!decoder.ok()) return;
  const bool fixed = pool.layout_policy == LayoutPolicy::kStatic;
  if (fixed && (instances == nullptr || instances->items.empty()))
    return decoder.refuse(value->line, fields.path(), "a static layout needs its instances",
                          "add instances: [\"PROFILE@START\", …]", base::Reason::kInvalidLayout);
  if (instances == nullptr) return;
  if (!fixed)
    return decoder.refuse(instances->line, fields.path_of("instances"),
                          "instances are given, but the policy is on-demand",
                          "write policy: static or remove them", base::Reason::kInvalidLayout);
  if (!model.mig_capable() || !pool.offers(Technology::kMig))
    return decoder.refuse(value->line, fields.path(), "this pool has no MIG to lay out",
                          "remove the layout or add mig to technologies",
                          base::Reason::kInvalidLayout);
  pool.static_layout = read_instances(decoder, *instances, fields.path_of("instances"), model);
}

void read_pool_technologies(Fields& spec, const catalog::GpuModel& model, fleet::Pool& pool) {
  if (model.mig_capable()) pool.technologies = {Technology::kMig};
  pool.technologies.insert(pool.technologies.end(), {Technology::kTimeSlicing, Technology::kWhole});
  spec.choices("technologies", kTechnologies, pool.technologies);
  std::ranges::sort(pool.technologies);
  const auto refuse = [&](std::string what, std::string todo) {
    spec.decoder().refuse(spec.line(), spec.path_of("technologies"), std::move(what),
                          std::move(todo));
  };
  if (pool.technologies.empty()) refuse("a pool must offer something", "name at least one");
  if (pool.offers(Technology::kMig) && !model.mig_capable())
    refuse(model.key + " has no MIG", "remove mig");
  if (pool.offers(Technology::kVgpu) && model.vgpu_types.empty())
    refuse("no vGPU types of " + model.key + " are known", "remove vgpu");
}

void read_compute(Fields& spec, MilliShare& out) {
  const Value* value = spec.take("compute");
  if (value == nullptr) return;
  std::int64_t tenths_of_percent = 0;
  spec.decoder().decimal(*value, spec.path_of("compute"), 1, 1000, tenths_of_percent);
  if (spec.decoder().ok()) out = MilliShare(tenths_of_percent);
}

void read_models(Fields& spec, const catalog::Catalog& catalog, std::vector<std::string>& out) {
  const Value* value = spec.take("models");
  Decoder& decoder = spec.decoder();
  if (value == nullptr || !decoder.expect(*value, spec.path_of("models"), ValueKind::kList)) return;
  for (std::size_t i = 0; i < value->items.size() && decoder.ok(); ++i) {
    const Path path = item_path(spec.path_of("models"), i);
    catalog::ModelIndex model;
    read_model(decoder, value->items[i], path, catalog, model);
    if (!decoder.ok()) return;
    const std::string& key = catalog.model(model).key;
    if (std::ranges::find(out, key) != out.end())
      decoder.refuse(value->items[i].line, path, key + " appears twice", "remove one of them");
    out.push_back(key);
  }
}

/// One island, by GPU numbers.
std::vector<std::uint16_t> read_island(Decoder& decoder, const Value& list, const Path& path,
                                       const control::PutNode& node) {
  std::vector<std::uint16_t> island;
  if (!decoder.expect(list, path, ValueKind::kList)) return island;
  for (std::size_t i = 0; i < list.items.size() && decoder.ok(); ++i) {
    std::int64_t number = 0;
    decoder.whole(list.items[i], item_path(path, i), 0, node.gpus - 1, number);
    island.push_back(static_cast<std::uint16_t>(number));
  }
  std::ranges::sort(island);
  if (decoder.ok() && island.size() < 2)
    decoder.refuse(list.line, path, "one GPU has nothing to be linked with",
                   "name two or more, or leave it out");
  return island;
}

/// How NVLink joins the GPUs: "all" through a switch, "pairs" by bridges, or lists of their
/// numbers.
void read_nvlink(Fields& spec, control::PutNode& node) {
  const Value* value = spec.take("nvlink");
  Decoder& decoder = spec.decoder();
  if (value == nullptr || !decoder.ok()) return;
  const Path path = spec.path_of("nvlink");
  const int gpus = node.gpus;
  if (value->kind != ValueKind::kList) {
    if (value->text != "all" && value->text != "pairs")
      return decoder.refuse(value->line, path, "\"" + clip(value->text) + "\" is not a topology",
                            "write all, pairs, or lists of GPU numbers, as [[0, 1], [2, 3]]");
    const int size = value->text == "all" ? gpus : 2;
    for (int first = 0; size > 1 && first + size <= gpus; first += size) {
      auto& island = node.nvlink.emplace_back();
      for (int number = first; number < first + size; ++number)
        island.push_back(static_cast<std::uint16_t>(number));
    }
    return;
  }
  std::set<std::uint16_t> seen;
  for (std::size_t i = 0; i < value->items.size() && decoder.ok(); ++i) {
    auto island = read_island(decoder, value->items[i], item_path(path, i), node);
    for (const auto number : island)
      if (decoder.ok() && !seen.insert(number).second)
        decoder.refuse(value->items[i].line, item_path(path, i),
                       "GPU " + std::to_string(number) + " is named twice",
                       "name each GPU once: an island is linked all to all");
    node.nvlink.push_back(std::move(island));
  }
  std::ranges::sort(node.nvlink);
}

/// "H100" begins the names of several models; spelling distance would suggest "B300".
std::string model_advice(const std::string& name, const std::vector<std::string_view>& keys) {
  const auto same = [](char a, char b) {
    return std::toupper(static_cast<unsigned char>(a)) ==
           std::toupper(static_cast<unsigned char>(b));
  };
  std::vector<std::string_view> family;
  for (const auto key : keys)
    if (!name.empty() && std::ranges::equal(key.substr(0, name.size()), name, same))
      family.push_back(key);
  if (!family.empty()) return "there are " + join(family);
  const auto near = nearest(name, keys);
  return near ? "did you mean \"" + std::string(*near) + "\"?" : "known models are " + join(keys);
}

}  // namespace

void read_model(Decoder& decoder, const Value& value, const Path& path,
                const catalog::Catalog& catalog, catalog::ModelIndex& out) {
  std::string name;
  decoder.text(value, path, name);
  if (!decoder.ok()) return;
  if (const auto found = catalog.find(name)) {
    out = *found;
    return;
  }
  std::vector<std::string_view> keys;
  for (const auto& model : catalog.models()) keys.push_back(model.key);
  decoder.refuse(value.line, path, "no GPU model is called \"" + clip(name) + "\"",
                 model_advice(name, keys));
}

tenancy::Tier decode_tier(Fields& spec, const std::string& name) {
  tenancy::Tier tier;
  tier.name = name;
  spec.text("description", tier.description);
  spec.choice("isolation", kIsolations, tier.isolation, kRequired);
  tier.technologies = usual_technologies(tier.isolation);
  spec.choices("technologies", kTechnologies, tier.technologies);
  spec.whole("oversubscription", 1, 64, tier.oversubscription);
  spec.whole("maxTenants", 1, 64, tier.max_tenants);
  tier.slot = base::MiB(9'537);  // 10 GB
  spec.memory("slot", tier.slot);
  if (const Value* price = spec.take("pricePerHour")) {
    std::int64_t millionths = 0;
    spec.decoder().decimal(*price, spec.path_of("pricePerHour"), 6, base::MicroMoney::kLargest,
                           millionths);
    tier.price = base::MicroMoney(millionths);
  }
  tier.max_duration = 24h * 30;
  spec.duration("maxDuration", tier.max_duration);
  tier.default_duration = std::min<base::Duration>(8h, tier.max_duration);
  spec.duration("defaultDuration", tier.default_duration);
  tier.notice = 15min;
  spec.duration("notice", tier.notice);
  read_auto_approval(spec, tier);
  spec.names("teams", tier.teams);
  // Hardware partitions are promised to last; what shares a GPU in software may be asked to move.
  tier.movable = tier.isolation < catalog::Isolation::kPartition;
  if (const Value* movable = spec.take("movable"))
    spec.decoder().flag(*movable, spec.path_of("movable"), tier.movable);
  spec.duration("minRuntime", tier.min_runtime);
  if (const Value* critical = spec.take("latencyCritical"))
    spec.decoder().flag(*critical, spec.path_of("latencyCritical"), tier.latency_critical);
  spec.finish();
  check_tier(spec, tier);
  return tier;
}

tenancy::Team decode_team(Fields& spec, const std::string& name) {
  tenancy::Team team;
  team.name = name;
  spec.name_or_empty("parent", team.parent);
  spec.text("description", team.description);
  spec.whole("maxWaiting", 0, 1'000'000, team.max_waiting);
  Decoder& decoder = spec.decoder();
  const Value* quotas = spec.take("quotas");
  if (quotas != nullptr && decoder.expect(*quotas, spec.path_of("quotas"), ValueKind::kMap)) {
    for (const Member& member : quotas->members) {
      const Path path = member_path(spec.path_of("quotas"), clip(member.key));
      if (!valid_name(member.key))
        decoder.refuse(member.line, path, "\"" + clip(member.key) + "\" is not a pool's name",
                       "write quotas: {POOL: {guaranteed: 2, limit: 4}}");
      if (!decoder.ok()) break;
      team.quotas.emplace(member.key, read_quota(decoder, member.value, path));
    }
  }
  spec.finish();
  return team;
}

fleet::Pool decode_pool(Fields& spec, const std::string& name, const catalog::Catalog& catalog) {
  fleet::Pool pool;
  pool.name = name;
  if (const Value* model = spec.take("model", kRequired))
    read_model(spec.decoder(), *model, spec.path_of("model"), catalog, pool.model);
  spec.names("tiers", pool.tiers);
  static const catalog::GpuModel kUnknown;
  const auto& model = pool.model.valid() ? catalog.model(pool.model) : kUnknown;
  if (pool.model.valid()) {
    read_pool_technologies(spec, model, pool);
  } else {
    spec.ignore("technologies");
  }
  read_layout(spec, model, pool);
  spec.finish();
  return pool;
}

NodeSpec decode_node(Fields& spec, const std::string& name) {
  NodeSpec read;
  read.node.name = name;
  spec.name("pool", read.node.pool, kRequired);
  spec.whole("gpus", 1, 64, read.node.gpus, kRequired);
  spec.cpu("cpu", read.node.cpu);
  spec.memory("memory", read.node.memory);
  spec.whole("count", 1, 10'000, read.count);
  read_nvlink(spec, read.node);
  spec.finish();
  return read;
}

control::Submit decode_submit(Fields& spec, const catalog::Catalog& catalog) {
  control::Submit submit;
  request::Need& need = submit.need;
  spec.name("team", submit.team, kRequired);
  spec.text("purpose", submit.purpose);
  spec.memory("memory", need.memory);
  read_compute(spec, need.compute);
  std::int64_t sms = 0;
  spec.whole("sms", 0, 1024, sms);
  need.sms = base::Sms(sms);
  spec.choice("isolation", kIsolations, need.isolation);
  spec.whole("count", 1, 64, need.count);
  spec.duration("duration", need.duration);
  read_models(spec, catalog, need.models);
  spec.name_or_empty("pool", need.pool);
  spec.name_or_empty("tier", need.tier);
  spec.cpu("cpu", need.cpu);
  spec.memory("hostMemory", need.host_memory);
  spec.whole("nodes", 1, 64, need.nodes);
  spec.choice("nvlink", {request::Nvlink::kPreferred, request::Nvlink::kRequired}, need.nvlink);
  spec.finish();
  if (need.compute.count() > 0 && need.sms.count() > 0)
    spec.decoder().refuse(spec.line(), spec.path_of("sms"), "both compute and sms are given",
                          "keep one of them");
  return submit;
}

}  // namespace tessera::wire
