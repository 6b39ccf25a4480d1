#include "placement/demand.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tessera::placement {
namespace {

constexpr std::size_t kMostKinds = 256;
/// Of one request, as far as the sums are concerned: no sum can overflow.
constexpr std::int64_t kMostAmount = 1'000'000'000;
/// How far the demand may move before what is typical follows.
constexpr double kDrift = 0.02;
/// The two are compared whenever a quarter more has arrived, but not after every request.
constexpr std::int64_t kLeastUnchecked = 20;

/// Number of the step that an amount is on, with `per_octave` steps between x and 2x.
std::int32_t step_of(std::int64_t amount, std::int64_t per_octave) {
  if (amount <= 0) return 0;
  const auto octave =
      static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(amount))) - 1;
  const auto base = std::int64_t{1} << octave;
  return static_cast<std::int32_t>(1 + octave * per_octave + (amount - base) * per_octave / base);
}

void count(DemandPicture::Tallies& tallies, const DemandKind& kind, const request::Need& need) {
  auto found = tallies.find(kind);
  if (found == tallies.end()) {
    // A flood of different needs pushes out what is rarest.
    if (tallies.size() >= kMostKinds)
      tallies.erase(std::ranges::min_element(
          tallies, {}, [](const auto& entry) { return entry.second.weight; }));
    found = tallies.emplace(kind, DemandTally{}).first;
  }
  auto& tally = found->second;
  const auto add = [](auto& sum, auto amount) {
    using Amount = decltype(amount);
    sum += std::min(amount, Amount(kMostAmount)) * DemandTally::kArrival;
  };
  tally.weight += DemandTally::kArrival;
  add(tally.cpu, need.cpu);
  add(tally.host_memory, need.host_memory);
  add(tally.compute, need.compute);
}

void halve(DemandPicture::Tallies& tallies) {
  for (auto it = tallies.begin(); it != tallies.end();) {
    auto& tally = it->second;
    tally.weight /= 2;
    tally.cpu = base::MilliCpu(tally.cpu.count() / 2);
    tally.host_memory = base::MiB(tally.host_memory.count() / 2);
    tally.compute = base::MilliShare(tally.compute.count() / 2);
    it = tally.weight == 0 ? tallies.erase(it) : std::next(it);
  }
}

std::int64_t weight_of(const DemandPicture::Tallies& tallies) {
  std::int64_t sum = 0;
  for (const auto& [kind, tally] : tallies) sum += tally.weight;
  return sum;
}

}  // namespace

bool Demand::observe(const request::Need& need, const std::string& tier) {
  if (need.count < 1) return false;
  DemandKind kind{.count = 1,
                  .compute = need.compute,
                  .memory = need.memory,
                  .sms = need.sms,
                  .isolation = need.isolation,
                  .tier = tier,
                  .pool = need.pool,
                  .models = need.models};
  count(recent_.sizes, kind, need);
  kind.count = need.count;
  kind.compute = base::MilliShare(need.compute.count() / 50 * 50);
  kind.cpu_step = step_of(need.cpu.count(), 6);
  kind.host_memory_step = step_of(need.host_memory.count(), 2);
  count(recent_.needs, kind, need);
  recent_.weight = recent_.weight + DemandTally::kArrival;
  if (recent_.weight > 2 * kMemory * DemandTally::kArrival) forget();

  const auto arrivals = recent_.weight / DemandTally::kArrival;
  if (++unchecked_ < std::max(kLeastUnchecked, arrivals / 4) && typical_.weight > 0) return false;
  unchecked_ = 0;
  if (distance() <= kDrift) return false;
  typical_ = recent_;
  return true;
}

void Demand::forget() {
  halve(recent_.needs);
  halve(recent_.sizes);
  recent_.weight = weight_of(recent_.needs);
}

double Demand::distance() const {
  const auto part = [](const DemandTally& tally, const DemandPicture& of) {
    return static_cast<double>(tally.weight) /
           static_cast<double>(of.weight + kPrior * DemandTally::kArrival);
  };
  const auto prior = [](const DemandPicture& in) {
    constexpr auto kWeight = kPrior * DemandTally::kArrival;
    return static_cast<double>(kWeight) / static_cast<double>(in.weight + kWeight);
  };
  double sum = std::abs(prior(recent_) - prior(typical_));
  auto old = typical_.needs.begin();
  const auto gone_before = [&](const DemandKind* kind) {
    for (; old != typical_.needs.end() && (kind == nullptr || old->first < *kind); ++old)
      sum += part(old->second, typical_);
  };
  for (const auto& [kind, tally] : recent_.needs) {
    gone_before(&kind);
    const bool known = old != typical_.needs.end() && old->first == kind;
    const double before = known ? part(old->second, typical_) : 0;
    if (known) ++old;
    sum += std::abs(part(tally, recent_) - before);
  }
  gone_before(nullptr);
  return sum / 2;
}

request::Need typical_need(const DemandKind& kind, const DemandTally& tally) {
  request::Need need{.memory = kind.memory,
                     .sms = kind.sms,
                     .isolation = kind.isolation,
                     .count = kind.count,
                     .models = kind.models,
                     .pool = kind.pool,
                     .tier = kind.tier};
  need.compute = base::MilliShare(tally.compute.count() / tally.weight);
  need.cpu = base::MilliCpu(tally.cpu.count() / tally.weight);
  need.host_memory = base::MiB(tally.host_memory.count() / tally.weight);
  return need;
}

}  // namespace tessera::placement
