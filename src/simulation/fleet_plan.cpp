#include "simulation/fleet_plan.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;
using catalog::Layout;
using catalog::Technology;

constexpr std::array kModels = {"H100-80GB-SXM5", "A100-40GB-SXM4", "A30-24GB",
                                "L40S-48GB",      "A100-80GB-PCIe", "H100-94GB-NVL"};

/// The three default tiers, and one that promises less to more tenants, with leases of minutes
/// instead of days, so that a few simulated hours see whole lives.
std::vector<tenancy::Tier> short_tiers(base::Random& random) {
  auto tiers = tenancy::default_tiers();
  tiers.push_back({.name = "sandbox",
                   .isolation = catalog::Isolation::kShared,
                   .technologies = {Technology::kTimeSlicing},
                   .oversubscription = 8,
                   .max_tenants = static_cast<int>(2 + random.below(8)),
                   .slot = base::MiB(4'769)});
  for (auto& tier : tiers) {
    tier.default_duration = 20min;
    tier.max_duration = 2h;
    tier.notice = std::chrono::minutes(1 + random.below(6));
    tier.movable = tier.name != "production" || random.chance(2, 3);
    if (tier.name == "production" && random.chance(1, 2))
      tier.auto_approval = tenancy::AutoApproval{base::kWholeGpu, 1h};
  }
  return tiers;
}

/// Random plain instances, one after the other, until nothing more fits.
Layout random_layout(const catalog::GpuModel& model, base::Random& random) {
  Layout layout = 0;
  while (true) {
    std::vector<catalog::InstanceIndex> open;
    for (std::size_t i = 0; i < model.layouts.instances().size(); ++i) {
      const auto instance = static_cast<catalog::InstanceIndex>(i);
      if ((model.layouts.addable(layout) & catalog::bit(instance)) == 0) continue;
      if (model.profile_of(instance).plain()) open.push_back(instance);
    }
    if (open.empty()) return layout;
    layout |= catalog::bit(open[random.below(open.size())]);
  }
}

fleet::Pool random_pool(std::string name, catalog::ModelIndex index, const catalog::GpuModel& model,
                        base::Random& random) {
  fleet::Pool pool{.name = std::move(name), .model = index};
  pool.technologies = {Technology::kTimeSlicing, Technology::kWhole};
  pool.tiers = {"development", "production", "sandbox"};
  if (!model.mig_capable()) return pool;
  pool.technologies = {Technology::kTimeSlicing, Technology::kMig, Technology::kWhole};
  pool.tiers = {"development", "production", "sandbox", "staging"};
  if (random.chance(1, 3)) {
    pool.layout_policy = fleet::LayoutPolicy::kStatic;
    pool.static_layout = random_layout(model, random);
  } else if (random.chance(1, 3)) {
    pool.tiers = {"production", "staging"};
  }
  return pool;
}

/// All GPUs through a switch, or pairs by bridges.
fleet::Islands random_islands(int gpus, base::Random& random) {
  const int size = random.chance(1, 2) ? gpus : 2;
  fleet::Islands islands;
  for (int first = 0; size > 1 && first + size <= gpus; first += size) {
    auto& island = islands.emplace_back();
    for (int number = first; number < first + size; ++number)
      island.push_back(static_cast<std::uint16_t>(number));
  }
  return islands;
}

}  // namespace

tenancy::Team random_team(const std::string& name, const FleetPlan& plan, base::Random& random) {
  tenancy::Team team{.name = name};
  if (random.chance(1, 4)) team.max_waiting = static_cast<int>(2 + random.below(6));
  for (const auto& pool : plan.pools) {
    if (!random.chance(1, 3)) continue;
    const base::GpuFraction most(base::kWholeGpu.count() *
                                 static_cast<std::int64_t>(2 + random.below(7)) / 2);
    team.quotas[pool].limit = fleet::Cost{most, most};
  }
  return team;
}

FleetPlan random_fleet(const catalog::Catalog& catalog, base::Random& random) {
  FleetPlan plan;
  auto& documents = plan.documents.documents;
  for (auto& tier : short_tiers(random)) documents.push_back(control::PutTier{std::move(tier)});
  const auto pools = 1 + random.below(4);
  const auto first_model = random.below(kModels.size());
  for (std::uint64_t i = 0; i < pools; ++i) {
    const auto* key = kModels[(first_model + i) % kModels.size()];
    const auto index = catalog.find(key);
    CHECK_MSG(index.has_value(), key);
    auto pool = random_pool("pool-" + std::to_string(i + 1), *index, catalog.model(*index), random);
    plan.pools.push_back(pool.name);
    plan.models.emplace_back(key);
    const auto nodes = 1 + random.below(pools == 1 ? 4 : 2);
    documents.push_back(control::PutPool{pool});
    for (std::uint64_t n = 0; n < nodes; ++n) {
      control::PutNode node{.name = "node-" + std::to_string(plan.nodes.size() + 1),
                            .pool = pool.name,
                            .gpus = static_cast<int>(1 + random.below(4))};
      if (random.chance(2, 3)) {
        node.cpu = base::MilliCpu(static_cast<std::int64_t>(8 + random.below(56)) * 1000);
        node.memory = base::MiB(static_cast<std::int64_t>(32 + random.below(224)) * 1024);
      }
      if (random.chance(2, 3)) node.nvlink = random_islands(node.gpus, random);
      plan.nodes.push_back({node.name, *index, node.gpus});
      documents.push_back(node);
    }
  }
  const auto teams = 2 + random.below(3);
  for (std::uint64_t i = 0; i < teams; ++i) {
    plan.teams.push_back("team-" + std::to_string(i + 1));
    documents.push_back(control::PutTeam{random_team(plan.teams.back(), plan, random)});
  }
  return plan;
}

}  // namespace tessera::simulation
