#include "control/capacity_demand.h"

namespace tessera::control {
namespace {

constexpr std::int64_t kCent = 10'000;  // millionths of a unit
constexpr std::int64_t kHoursOfAYear = 8760;

Cents to_nearest(std::int64_t money, std::int64_t by) {
  return (money + by / 2) / by;
}

}  // namespace

Cents in_cents(MicroMoney money) {
  return to_nearest(money.count(), kCent);
}

std::optional<Cents> yearly_cost(const GpuOption& option, std::int64_t years) {
  if (option.per_hour) return to_nearest(option.per_hour->count() * kHoursOfAYear, kCent);
  if (option.purchase) return to_nearest(option.purchase->count(), kCent * years);
  return std::nullopt;
}

catalog::Isolation kept_by(Technology technology) {
  switch (technology) {
    case Technology::kTimeSlicing:
      return catalog::Isolation::kLimited;
    case Technology::kVgpu:
      return catalog::Isolation::kVirtual;
    case Technology::kMig:
      return catalog::Isolation::kPartition;
    case Technology::kWhole:
      return catalog::Isolation::kDedicated;
  }
  return {};
}

}  // namespace tessera::control
