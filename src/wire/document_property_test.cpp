#include <rapidcheck.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "wire/document.h"
#include "wire/spec.h"
#include "wire/test_world.h"
#include "wire/yaml.h"

/// What is encoded is decoded to the same object, as JSON and as YAML, for objects of every kind.
/// Objects are compared by what they encode to, which writes every field.

namespace tessera::wire {
namespace {

using base::GpuFraction;
using catalog::Isolation;
using catalog::Technology;

int between(int least, int most) {
  return *rc::gen::inRange(least, most + 1);
}

std::string any_name() {
  const std::string outer = "abcdefghijklmnopqrstuvwxyz0123456789";
  const auto letter = rc::gen::elementOf(outer + "-.");
  auto name = *rc::gen::container<std::string>(letter);
  name = name.substr(0, 40);
  return *rc::gen::elementOf(outer) + name + *rc::gen::elementOf(outer);
}

/// Free text, with what the formats find difficult.
std::string any_text() {
  const auto piece = rc::gen::element<std::string>(
      "a", "b c", " ", ":", ": ", " #", "- ", "\"", "'", "\\", "\n", "\t", "{", "[", "&a", "*a",
      "!", "%", "@", "0x1", "12", "1e3", "true", "null", "~", "\xC3\xA9", "\xE2\x80\xA8",
      "\xC2\x85", "\xF0\x9F\x8E\xA8", "=", "|", ">", "2026-11-22T19:30:00Z", "?", ",");
  std::string text;
  for (const auto& part : *rc::gen::container<std::vector<std::string>>(piece)) text += part;
  return text;
}

std::vector<std::string> any_names() {
  return *rc::gen::unique<std::vector<std::string>>(rc::gen::exec(any_name));
}

base::Duration any_duration() {
  return base::Duration(*rc::gen::inRange<std::int64_t>(0, std::int64_t{3650} * 86'400'000));
}

base::MiB any_memory() {
  return base::MiB(*rc::gen::inRange<std::int64_t>(0, base::MiB::kLargest / 2048));
}

GpuFraction any_gpus(int most_thousandths) {
  return GpuFraction(std::int64_t{21} * between(0, most_thousandths));
}

Technology any_technology() {
  return static_cast<Technology>(between(0, 3));
}

tenancy::Tier any_tier() {
  tenancy::Tier tier;
  tier.name = any_name();
  tier.description = any_text();
  tier.isolation = static_cast<Isolation>(between(0, 4));
  for (const Technology technology :
       *rc::gen::unique<std::vector<Technology>>(rc::gen::exec(any_technology))) {
    tier.technologies.push_back(technology);
    if (!tier.isolation_with(technology)) tier.technologies.pop_back();
  }
  if (tier.technologies.empty()) tier.technologies = {Technology::kWhole};
  tier.oversubscription = between(1, 64);
  tier.max_tenants = between(1, 64);
  tier.slot = any_memory() + base::MiB(1);
  tier.price = base::MicroMoney(*rc::gen::inRange<std::int64_t>(0, base::MicroMoney::kLargest));
  tier.default_duration = any_duration() + base::Duration(1);
  tier.max_duration = tier.default_duration + base::Duration(between(0, 1'000'000));
  tier.notice = any_duration();
  if (between(0, 1) == 1)
    tier.auto_approval = tenancy::AutoApproval{any_gpus(100'000), any_duration()};
  tier.teams = any_names();
  tier.movable = between(0, 1) == 1;
  tier.min_runtime = std::chrono::minutes(between(0, 90));
  tier.latency_critical =
      tier.isolation_with(Technology::kTimeSlicing) == Isolation::kLimited && between(0, 1) == 1;
  return tier;
}

tenancy::Team any_team() {
  tenancy::Team team;
  team.name = any_name();
  if (between(0, 1) == 1) team.parent = any_name();
  team.description = any_text();
  team.max_waiting = between(0, 1'000'000);
  for (const std::string& pool : any_names()) {
    tenancy::Quota quota;
    quota.guaranteed = {any_gpus(1000), any_gpus(1000)};
    if (between(0, 1) == 1)
      quota.limit = quota.guaranteed + fleet::Cost{any_gpus(100'000), any_gpus(100'000)};
    quota.weight = between(1, 1'000'000);
    team.quotas.emplace(pool, quota);
  }
  return team;
}

/// Adds instances in random order as long as the model allows them.
catalog::Layout any_layout(const catalog::GpuModel& model) {
  catalog::Layout layout = 0;
  const int instances = static_cast<int>(model.layouts.instances().size());
  const int wanted = between(1, 8);
  for (int i = 0; i < wanted; ++i) {
    const auto instance = static_cast<catalog::InstanceIndex>(between(0, instances - 1));
    if ((model.layouts.addable(layout) & catalog::bit(instance)) != 0)
      layout |= catalog::bit(instance);
  }
  return layout;
}

fleet::Pool any_pool() {
  fleet::Pool pool;
  pool.name = any_name();
  pool.model = catalog::ModelIndex(*rc::gen::inRange<std::size_t>(0, built_in().models().size()));
  const auto& model = built_in().model(pool.model);
  pool.tiers = any_names();
  for (const Technology technology :
       {Technology::kTimeSlicing, Technology::kVgpu, Technology::kMig, Technology::kWhole}) {
    const bool possible = (technology != Technology::kVgpu || !model.vgpu_types.empty()) &&
                          (technology != Technology::kMig || model.mig_capable());
    if (possible && between(0, 1) == 1) pool.technologies.push_back(technology);
  }
  if (pool.technologies.empty()) pool.technologies = {Technology::kWhole};
  if (pool.offers(Technology::kMig) && between(0, 1) == 1) {
    pool.layout_policy = fleet::LayoutPolicy::kStatic;
    pool.static_layout = any_layout(model);
  }
  return pool;
}

control::PutNode any_node() {
  control::PutNode node{.name = any_name(),
                        .pool = any_name(),
                        .gpus = between(1, 64),
                        .cpu = base::MilliCpu(between(0, 1'000'000)),
                        .memory = any_memory()};
  const int size = between(2, 8);
  for (int first = 0; first + size <= node.gpus; first += size) {
    auto& island = node.nvlink.emplace_back();
    for (int number = first; number < first + size; ++number)
      island.push_back(static_cast<std::uint16_t>(number));
  }
  return node;
}

control::Submit any_submit() {
  control::Submit submit;
  submit.team = any_name();
  submit.purpose = any_text();
  request::Need& need = submit.need;
  need.memory = any_memory();
  if (between(0, 1) == 1) {
    need.compute = base::MilliShare(between(0, 1000));
  } else {
    need.sms = base::Sms(between(0, 1024));
  }
  need.isolation = static_cast<Isolation>(between(0, 4));
  need.count = between(1, 64);
  need.duration = any_duration();
  if (between(0, 1) == 1) need.models = {"H100-80GB-SXM5", "A30-24GB"};
  if (between(0, 1) == 1) need.pool = any_name();
  if (between(0, 1) == 1) need.tier = any_name();
  need.cpu = base::MilliCpu(between(0, 1'000'000));
  need.host_memory = any_memory();
  need.nodes = between(1, 64);
  need.nvlink = static_cast<request::Nvlink>(between(0, 1));
  return submit;
}

Declared any_declared() {
  switch (between(0, 4)) {
    case 0:
      return any_tier();
    case 1:
      return any_team();
    case 2:
      return any_pool();
    case 3:
      return any_node();
    default:
      return any_submit();
  }
}

RC_GTEST_PROP(DocumentProperty, DecodesWhatWasEncodedAsJson, ()) {
  const Declared object = any_declared();
  const Json document = document_of(object, built_in());
  const auto decoded = decode_document(document.dump(), built_in());
  if (!decoded) RC_FAIL(to_string(decoded.error()) + "\n" + document.dump(2));
  RC_ASSERT(document_of(*decoded, built_in()) == document);
  if (const auto* submit = std::get_if<control::Submit>(&object))
    RC_ASSERT(std::get<control::Submit>(*decoded).need == submit->need);
}

RC_GTEST_PROP(DocumentProperty, DecodesWhatWasEncodedAsYaml, ()) {
  std::vector<Json> written;
  const int count = between(1, 4);
  for (int i = 0; i < count; ++i) written.push_back(document_of(any_declared(), built_in()));
  const std::string text = to_yaml_documents(written);
  const auto decoded = decode_documents(text, "f.yaml", built_in());
  if (!decoded) RC_FAIL(to_string(decoded.error()) + "\n" + text);
  RC_ASSERT(decoded->size() == written.size());
  for (std::size_t i = 0; i < written.size(); ++i)
    RC_ASSERT(document_of((*decoded)[i].object, built_in()) == written[i]);
}

/// Bytes changed, cut or doubled anywhere: an answer, never a crash, and what is accepted is
/// stable.
RC_GTEST_PROP(DocumentProperty, SurvivesDamage, ()) {
  std::string text = to_yaml(document_of(any_declared(), built_in()));
  const int blows = between(1, 8);
  for (int i = 0; i < blows && !text.empty(); ++i) {
    const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
    const auto length = *rc::gen::inRange<std::size_t>(0, 16);
    switch (between(0, 2)) {
      case 0:
        text[at] = static_cast<char>(between(0, 255));
        break;
      case 1:
        text.erase(at, length);
        break;
      default:
        text.insert(at, text.substr(at, length));
        break;
    }
  }
  const auto decoded = decode_documents(text, "f.yaml", built_in());
  if (!decoded) {
    RC_ASSERT(!decoded.error().what.empty());
    RC_ASSERT(decoded.error().where.starts_with("f.yaml"));
    return;
  }
  for (const Document& document : *decoded) {
    const Json written = document_of(document.object, built_in());
    const auto again = decode_document(written.dump(), built_in());
    if (!again) RC_FAIL(to_string(again.error()) + "\n" + text);
    RC_ASSERT(document_of(*again, built_in()) == written);
  }
}

}  // namespace
}  // namespace tessera::wire
