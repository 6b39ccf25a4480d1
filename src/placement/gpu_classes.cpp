#include "placement/gpu_classes.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace tessera::placement {
namespace {

using catalog::GpuModel;
using catalog::Technology;
using fleet::GpuIndex;
using fleet::Pool;
using fleet::PoolIndex;

/// Classes without members that are kept, beside as many as have some.
constexpr std::size_t kSpare = 256;

/// Rank of a fit among those of one profile: future options first, then no device work, then the
/// fewest idle instances lost, then the fullest GPU.
std::int64_t rank_of(const Fit& fit, const fleet::Occupancy& occupancy) {
  std::int64_t rank = fit.loss;
  rank = rank * 2 + (fit.creates ? 1 : 0);
  rank = rank * 64 + std::popcount(fit.retires);
  rank = rank * 64 + (63 - std::min(63, std::popcount(occupancy.held)));
  return rank;
}

}  // namespace

bool GpuClasses::put(GpuIndex gpu, PoolIndex pool_index, const fleet::Occupancy& occupancy,
                     const GpuModel& model, const Pool& pool) {
  if (gpu.value() >= gpus_.size()) gpus_.resize(gpu.value() + 1);
  GpuClass* before = gpus_[gpu.value()];
  if (before != nullptr && before->pool == pool_index && before->occupancy == occupancy)
    return false;
  remove(gpu);
  const auto [found, fresh] = classes_.try_emplace(Key{pool_index, occupancy});
  auto& joined = found->second;
  if (fresh) {
    joined.pool = pool_index;
    joined.occupancy = occupancy;
    describe(joined, model, pool);
  } else if (joined.members.empty()) {
    --vacant_;
  }
  joined.members.insert(gpu);
  gpus_[gpu.value()] = &joined;
  return true;
}

bool GpuClasses::remove(GpuIndex gpu) {
  if (of(gpu) == nullptr) return false;
  auto& left = *std::exchange(gpus_[gpu.value()], nullptr);
  CHECK(left.members.erase(gpu));
  if (left.members.empty() && ++vacant_ > kSpare + size()) sweep();
  return true;
}

void GpuClasses::describe(GpuClass& fresh, const GpuModel& model, const Pool& pool) {
  fresh.free =
      pool.fixed() ? 0 : static_cast<std::int32_t>(free_for_shares(model, fresh.occupancy));
  for (const auto profile : model.plain_by_size) {
    if (!pool.offers(Technology::kMig)) break;
    const Candidate candidate{
        .pool = fresh.pool, .technology = Technology::kMig, .profile = profile};
    if (const auto found = fit(model, pool, fresh.occupancy, candidate))
      fresh.mig_offers.push_back(
          {candidate.profile, room(model, pool, fresh.occupancy, candidate), *found});
  }
  if (pools_.size() <= fresh.pool.value()) pools_.resize(fresh.pool.value() + 1);
  auto& by_profile = pools_[fresh.pool.value()].by_profile;
  by_profile.resize(std::max(by_profile.size(), model.profiles.size()));
  each_order(fresh, [](Order& order, const Ranked& ranked) { order.insert(ranked); });
}

/// Calls `act(order, entry)` for every order that the class is in.
template <class Act>
void GpuClasses::each_order(const GpuClass& filed, Act act) {
  auto& orders = pools_[filed.pool.value()];
  const auto& occupancy = filed.occupancy;
  for (const auto& offer : filed.mig_offers)
    act(orders.by_profile[offer.profile], Ranked{rank_of(offer.fit, occupancy), &filed});
  if (occupancy.empty())
    act(orders.empty, Ranked{std::popcount(occupancy.idle), &filed});
  else if (occupancy.technology == Technology::kVgpu)
    act(orders.vgpu, Ranked{-std::int64_t{occupancy.tenants}, &filed});
}

void GpuClasses::sweep() {
  for (auto it = classes_.begin(); it != classes_.end();) {
    const auto& filed = it->second;
    if (!filed.members.empty()) {
      ++it;
      continue;
    }
    each_order(filed, [](Order& order, const Ranked& ranked) { order.erase(ranked); });
    it = classes_.erase(it);
  }
  vacant_ = 0;
}

void GpuClasses::forget(PoolIndex pool) {
  sweep();
  for (const auto& [key, filed] : classes_) CHECK(key.pool != pool);
}

std::optional<Pick> GpuClasses::pick(const GpuModel& model, const Pool& pool,
                                     const Candidate& candidate) const {
  if (candidate.pool.value() >= pools_.size()) return std::nullopt;
  const auto& orders = pools_[candidate.pool.value()];
  if (candidate.technology == Technology::kMig) {
    if (candidate.profile >= orders.by_profile.size()) return std::nullopt;
    for (const auto& ranked : orders.by_profile[candidate.profile]) {
      if (ranked.members->members.empty()) continue;
      return Pick{ranked.members->members.front(), ranked.members->offer(candidate.profile)->fit};
    }
    return std::nullopt;
  }
  for (const Order* order : {&orders.vgpu, &orders.empty})
    for (const auto& ranked : *order) {
      if (ranked.members->members.empty()) continue;
      if (const auto found = fit(model, pool, ranked.members->occupancy, candidate))
        return Pick{ranked.members->members.front(), *found};
    }
  return std::nullopt;
}

}  // namespace tessera::placement
