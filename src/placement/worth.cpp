#include "placement/worth.h"

#include <algorithm>
#include <map>

#include "placement/fit.h"

namespace tessera::placement {
namespace {

using catalog::Technology;
using fleet::PoolIndex;

/// How much of a node's GPUs counts whatever its host has left: the host may be given back.
constexpr float kGpuPart = 0.65F;
/// Needs that can choose among GPUs are told from those that fill them: a whole GPU fits anywhere
/// that is empty, so it says little about which leftovers are useful.
constexpr double kWholeWeight = 0.1;
/// Random needs that a GPU is offered to: the mean over a few numbers, because a single one makes
/// cliffs where a size just fits so many times.
constexpr int kFewestOffers = 3;
constexpr int kMostOffers = 8;
/// Weight of a model's scarcity, and its ceiling.
constexpr double kScarcityWeight = 0.3;
constexpr double kMostScarcity = 1.5;
/// The host never limits a need that asks nothing of it.
constexpr float kAmple = 1e9F;

constexpr double kPriorArrivals = Demand::kPrior;
constexpr std::array kPriorParts = {125, 250, 500};
constexpr double kPriorSizes = kPriorParts.size();
constexpr int kPriorGang = 8;

float as_float(std::int64_t amount) {
  return static_cast<float>(amount);
}

}  // namespace

/// Pieces that are asked for, with their weights. What only an empty GPU can begin to serve is a
/// whole one.
struct Worth::Histogram {
  std::map<std::int32_t, double> weights;

  void add(std::int64_t part, bool whole, double weight) {
    if (whole)
      weights[1000] += weight * kWholeWeight * static_cast<double>(part) / 1000;
    else if (part > 0)
      weights[static_cast<std::int32_t>(part)] += weight;
  }

  /// The mean, over a few numbers n of offers, of what a GPU with r free sells to n random needs,
  /// as a part of what an empty one sells.
  std::array<std::int32_t, kWholeGpu + 1> appeal() const {
    double sum = 0;
    for (const auto& [size, weight] : weights) sum += weight;
    std::array<float, kWholeGpu + 1> sold{}, next{}, mean{};
    for (int offers = 1; offers <= kMostOffers; ++offers) {
      next.fill(0);
      for (const auto& [size, weight] : weights) {
        const auto chance = static_cast<float>(weight / sum);
        const auto piece = static_cast<std::size_t>(size);
        const auto value = static_cast<float>(size);
        for (std::size_t r = 0; r < piece; ++r) next[r] += chance * sold[r];
        for (std::size_t r = piece; r <= kWholeGpu; ++r)
          next[r] += chance * std::max(sold[r], value + sold[r - piece]);
      }
      sold = next;
      if (offers < kFewestOffers) continue;
      for (std::size_t r = 0; r <= kWholeGpu; ++r) mean[r] += sold[r] / sold[kWholeGpu];
    }
    std::array<std::int32_t, kWholeGpu + 1> found{};
    for (std::size_t r = 0; r <= kWholeGpu; ++r)
      found[r] = static_cast<std::int32_t>(1000 * mean[r] / mean[kWholeGpu] + 0.5F);
    return found;
  }
};

/// Collects the tables, need by need.
class Worth::Builder {
 public:
  Builder(Worth& worth, const MatchWorld& world, const DemandPicture& typical)
      : worth_(worth), world_(world), typical_(typical), histograms_(world.fleet.pools().size()) {
    total_ = arrivals(typical.weight) + kPriorArrivals;
    worth_.pools_.assign(world.fleet.pools().size(), {});
    worth_.named_.clear();
  }

  void build() {
    for (const auto& [kind, tally] : typical_.needs) add_need(kind, tally);
    for (const auto& [kind, tally] : typical_.sizes) add_size(kind, tally);
    for (std::size_t i = 0; i < histograms_.size(); ++i) {
      if (world_.fleet.pools()[i].name.empty()) continue;
      add_prior(i);
      find_appeal(i);
    }
    for (auto& [pools, weight] : named_) worth_.named_.push_back({pools, weight / asked_});
  }

 private:
  static double arrivals(std::int64_t weight) {
    return static_cast<double>(weight) / static_cast<double>(DemandTally::kArrival);
  }

  /// The least slice that would do, pool by pool.
  std::vector<Candidate> least(const request::Need& need) const {
    const auto tier = world_.tiers.find(need.tier);
    if (tier == world_.tiers.end()) return {};
    auto all = candidates_in(world_, tier->second, need);
    std::ranges::stable_sort(all, {}, &Candidate::pool);
    const auto rest = std::ranges::unique(all, {}, &Candidate::pool);
    all.erase(rest.begin(), rest.end());
    return all;
  }

  void add_need(const DemandKind& kind, const DemandTally& tally) {
    const auto need = typical_need(kind, tally);
    const auto weight = arrivals(tally.weight);
    std::vector<PoolIndex> pools;
    std::int64_t most = 0;
    for (const auto& candidate : least(need)) {
      const auto& model = world_.catalog.model(world_.fleet.pool(candidate.pool).model);
      const auto part = gpu_part(candidate, model) * need.count;
      const bool gang = candidate.technology == Technology::kWhole && need.count > 1;
      append(candidate.pool.value(), weight, need, part, gang ? need.count : 0);
      pools.push_back(candidate.pool);
      most = std::max(most, part);
    }
    const auto gpus = weight * static_cast<double>(most);
    asked_ += gpus;
    if (!pools.empty() && (!need.models.empty() || !need.pool.empty())) named_[pools] += gpus;
  }

  void add_size(const DemandKind& kind, const DemandTally& tally) {
    auto need = typical_need(kind, tally);
    need.cpu = {};
    need.host_memory = {};
    for (const auto& candidate : least(need)) {
      const auto& model = world_.catalog.model(world_.fleet.pool(candidate.pool).model);
      histograms_[candidate.pool.value()].add(gpu_part(candidate, model),
                                              candidate.technology != Technology::kTimeSlicing,
                                              arrivals(tally.weight));
    }
  }

  void add_prior(std::size_t pool) {
    constexpr double kEach = kPriorArrivals / 2;
    for (int gpus = 1; gpus <= kPriorGang; ++gpus)
      append(pool, kEach / kPriorGang, {}, 1000 * gpus, gpus);
    for (const int part : kPriorParts) {
      append(pool, kEach / kPriorSizes, {}, part, 0);
      histograms_[pool].add(part, false, kEach / kPriorSizes);
    }
    histograms_[pool].add(1000, true, kEach);
  }

  void append(std::size_t pool, double weight, const request::Need& need, std::int64_t part,
              int empty) {
    auto& tables = worth_.pools_[pool];
    const auto lane = tables.count++ % kLanes;
    if (lane == 0) tables.needs.emplace_back();
    auto& needs = tables.needs.back();
    const auto cpu = as_float(need.cpu.count());
    const auto memory = as_float(need.host_memory.count());
    needs.weight[lane] = static_cast<float>(weight / total_);
    needs.cpu[lane] = cpu;
    needs.memory[lane] = memory;
    needs.empty[lane] = static_cast<float>(empty);
    needs.per_cpu[lane] = cpu > 0 ? as_float(part) / cpu : kAmple;
    needs.per_memory[lane] = memory > 0 ? as_float(part) / memory : kAmple;
  }

  /// Pools that are asked for the same pieces have the same appeal.
  void find_appeal(std::size_t pool) {
    const auto& histogram = histograms_[pool];
    auto known = known_.find(histogram.weights);
    if (known == known_.end()) known = known_.emplace(histogram.weights, histogram.appeal()).first;
    worth_.pools_[pool].appeal = known->second;
  }

  Worth& worth_;
  const MatchWorld& world_;
  const DemandPicture& typical_;
  double total_ = 0;
  double asked_ = 0;
  std::vector<Histogram> histograms_;
  std::map<std::map<std::int32_t, double>, std::array<std::int32_t, kWholeGpu + 1>> known_;
  std::map<std::vector<PoolIndex>, double> named_;
};

void Worth::rebuild(const MatchWorld& world, const DemandPicture& typical) {
  Builder(*this, world, typical).build();
}

float Worth::of(PoolIndex pool, const NodeRoom& room) const {
  const auto appeal = static_cast<float>(room.appeal);
  if (appeal <= 0) return 0;
  const float cpu = as_float(room.cpu), memory = as_float(room.memory);
  const auto empty = static_cast<float>(room.empty);
  const Lanes all_appeal = Lanes{} + appeal;
  Lanes admitted{}, served{};
  for (const auto& needs : pools_[pool.value()].needs) {
    const auto fits = (needs.cpu <= cpu) & (needs.memory <= memory) & (needs.empty <= empty);
    const Lanes weight = fits ? needs.weight : Lanes{};
    const Lanes by_cpu = needs.per_cpu * cpu, by_memory = needs.per_memory * memory;
    Lanes use = by_cpu < by_memory ? by_cpu : by_memory;
    use = use < all_appeal ? use : all_appeal;
    admitted += weight;
    served += weight * use;
  }
  float all_admitted = 0, all_served = 0;
  for (std::size_t i = 0; i < kLanes; ++i) all_admitted += admitted[i], all_served += served[i];
  return kGpuPart * appeal * all_admitted + (1 - kGpuPart) * all_served;
}

double Worth::price(PoolIndex pool, const std::vector<base::GpuFraction>& free) const {
  double all = 0, scarcity = 0;
  for (const auto amount : free) all += static_cast<double>(amount.count());
  for (const auto& named : named_) {
    if (std::ranges::find(named.pools, pool) == named.pools.end()) continue;
    double left = 1;
    for (const auto one : named.pools) left += static_cast<double>(free[one.value()].count());
    scarcity += named.part * all / left;
  }
  return kScarcityWeight * std::min(kMostScarcity, scarcity);
}

}  // namespace tessera::placement
