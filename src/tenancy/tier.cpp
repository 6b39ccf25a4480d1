#include "tenancy/tier.h"

#include <algorithm>
#include <tuple>

namespace tessera::tenancy {

using catalog::Isolation;
using catalog::Technology;

std::optional<Isolation> Tier::isolation_with(Technology technology) const {
  if (std::ranges::find(technologies, technology) == technologies.end()) return std::nullopt;
  Isolation given{};
  switch (technology) {
    // The guard, which only the node can run, is what makes time-slicing `limited`.
    case Technology::kTimeSlicing:
      given = std::min(isolation, Isolation::kLimited);
      break;
    case Technology::kVgpu:
      given = Isolation::kVirtual;
      break;
    case Technology::kMig:
      given = Isolation::kPartition;
      break;
    case Technology::kWhole:
      given = Isolation::kDedicated;
      break;
  }
  if (given < isolation) return std::nullopt;
  return given;
}

fleet::ShareSlice Tier::share_of(MiB memory, base::MilliShare compute) const {
  return {.memory = memory,
          .compute = compute,
          .oversubscription = static_cast<std::uint16_t>(oversubscription),
          .tenants = static_cast<std::uint16_t>(max_tenants),
          .isolation = std::min(isolation, Isolation::kLimited),
          .latency_critical = latency_critical};
}

bool Tier::admits(std::string_view team) const {
  return teams.empty() || std::ranges::find(teams, team) != teams.end();
}

int Tier::oversubscription_of(Technology technology) const {
  return technology == Technology::kTimeSlicing ? oversubscription : 1;
}

bool lesser(const Tier& a, const Tier& b) {
  return std::tie(a.isolation, a.price, a.name) < std::tie(b.isolation, b.price, b.name);
}

std::vector<Tier> default_tiers() {
  using namespace std::chrono_literals;
  Tier production{
      .name = "production",
      .description =
          "Hardware partitions with guaranteed performance, for inference with latency "
          "promises",
      .isolation = Isolation::kPartition,
      .technologies = {Technology::kMig, Technology::kWhole},
      .slot = MiB(38'147),  // 40 GB
      .price = MicroMoney(2'800'000),
      .default_duration = 8h,
      .max_duration = 24h * 30,
      .notice = 15min,
  };
  Tier staging{
      .name = "staging",
      .description = "A hypervisor's share or a partition, for tests close to production",
      .isolation = Isolation::kVirtual,
      .technologies = {Technology::kVgpu, Technology::kMig},
      .slot = MiB(19'074),  // 20 GB
      .price = MicroMoney(2'000'000),
      .default_duration = 8h,
      .max_duration = 24h * 7,
      .notice = 15min,
      .movable = true,
  };
  Tier development{
      .name = "development",
      .description =
          "Guarded time-slicing: memory and share of time limited in software, faults of others "
          "not contained; for notebooks and batch work",
      .isolation = Isolation::kLimited,
      .technologies = {Technology::kTimeSlicing},
      .oversubscription = 4,
      .max_tenants = 8,
      .slot = MiB(9'537),  // 10 GB
      .price = MicroMoney(1'200'000),
      .default_duration = 4h,
      .max_duration = 24h * 3,
      .notice = 10min,
      .movable = true,
  };
  return {development, production, staging};
}

}  // namespace tessera::tenancy
