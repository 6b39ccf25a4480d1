#include "wire/spec.h"

#include "tenancy/price.h"
#include "wire/text.h"

namespace tessera::wire {
namespace {

Json gpus(const fleet::Cost& cost) {
  if (cost.compute == cost.memory) return base::to_string(cost.compute);
  return {{"compute", base::to_string(cost.compute)}, {"memory", base::to_string(cost.memory)}};
}

template <class T>
Json words(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(to_string(value));
  return list;
}

/// Percent with at most one decimal: an integer where it is one.
Json percent(base::MilliShare compute) {
  if (compute.count() % 10 == 0) return compute.count() / 10;
  return static_cast<double>(compute.count()) / 10;
}

struct SpecOf {
  const catalog::Catalog& catalog;
  Json operator()(const tenancy::Tier& tier) const { return spec_of(tier); }
  Json operator()(const tenancy::Team& team) const { return spec_of(team); }
  Json operator()(const fleet::Pool& pool) const { return spec_of(pool, catalog); }
  Json operator()(const control::PutNode& node) const { return spec_of(node); }
  Json operator()(const control::Submit& submit) const {
    return request_spec(submit.team, submit.purpose, submit.need);
  }
};

}  // namespace

Json spec_of(const tenancy::Tier& tier) {
  Json spec = {{"description", tier.description},
               {"isolation", to_string(tier.isolation)},
               {"technologies", words(tier.technologies)},
               {"oversubscription", tier.oversubscription},
               {"maxTenants", tier.max_tenants},
               {"slot", base::to_string(tier.slot)},
               {"pricePerHour", tenancy::money_text(tier.price)},
               {"defaultDuration", exact_text(tier.default_duration)},
               {"maxDuration", exact_text(tier.max_duration)},
               {"notice", exact_text(tier.notice)},
               {"teams", tier.teams},
               {"movable", tier.movable},
               {"minRuntime", exact_text(tier.min_runtime)},
               {"latencyCritical", tier.latency_critical}};
  if (tier.auto_approval)
    spec["autoApprove"] = {{"share", base::to_string(tier.auto_approval->share)},
                           {"duration", exact_text(tier.auto_approval->duration)}};
  return spec;
}

Json spec_of(const tenancy::Team& team) {
  Json quotas = Json::object();
  for (const auto& [pool, quota] : team.quotas) {
    Json entry = {{"guaranteed", gpus(quota.guaranteed)}, {"weight", quota.weight}};
    if (quota.limit) entry["limit"] = gpus(*quota.limit);
    quotas[pool] = std::move(entry);
  }
  return {{"parent", team.parent},
          {"description", team.description},
          {"quotas", quotas},
          {"maxWaiting", team.max_waiting}};
}

Json spec_of(const fleet::Pool& pool, const catalog::Catalog& catalog) {
  const auto& model = catalog.model(pool.model);
  Json layout = {{"policy", to_string(pool.layout_policy)}};
  if (pool.layout_policy == fleet::LayoutPolicy::kStatic) {
    Json instances = Json::array();
    for (std::size_t i = 0; i < model.layouts.instances().size(); ++i) {
      const auto index = static_cast<catalog::InstanceIndex>(i);
      if ((pool.static_layout & catalog::bit(index)) == 0) continue;
      instances.push_back(model.profile_of(index).name + "@" +
                          std::to_string(model.layouts.instance(index).placement.start));
    }
    layout["instances"] = std::move(instances);
  }
  return {{"model", model.key},
          {"tiers", pool.tiers},
          {"technologies", words(pool.technologies)},
          {"layout", std::move(layout)}};
}

Json spec_of(const control::PutNode& node) {
  return {{"pool", node.pool},
          {"gpus", node.gpus},
          {"cpu", base::to_string(node.cpu)},
          {"memory", base::to_string(node.memory)},
          {"nvlink", node.nvlink}};
}

Json spec_of(const request::Need& need) {
  return {{"memory", base::to_string(need.memory)},
          {"compute", percent(need.compute)},
          {"sms", need.sms.count()},
          {"isolation", to_string(need.isolation)},
          {"count", need.count},
          {"duration", exact_text(need.duration)},
          {"models", need.models},
          {"pool", need.pool},
          {"tier", need.tier},
          {"cpu", base::to_string(need.cpu)},
          {"hostMemory", base::to_string(need.host_memory)},
          {"nodes", need.nodes},
          {"nvlink", to_string(need.nvlink)}};
}

Json request_spec(std::string_view team, std::string_view purpose, const request::Need& need) {
  Json spec = spec_of(need);
  spec["team"] = team;
  spec["purpose"] = purpose;
  return spec;
}

Json document_of(const Declared& object, const catalog::Catalog& catalog) {
  Json document = {{"apiVersion", kApiVersion},
                   {"kind", kind_of(object)},
                   {"metadata", Json::object()},
                   {"spec", std::visit(SpecOf{catalog}, object)}};
  if (!name_of(object).empty()) document["metadata"]["name"] = name_of(object);
  return document;
}

}  // namespace tessera::wire
