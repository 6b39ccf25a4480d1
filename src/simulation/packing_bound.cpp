#include "simulation/packing_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <tuple>

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;
using planning::kInfinite;
using planning::NewColumn;

constexpr std::size_t kThousandths = 1000;
constexpr int kMostRounds = 200;
constexpr base::Duration kLimitPerRound = 30s;
/// A pattern is taken in when it is worth so much more than the GPU costs.
constexpr double kWorthwhile = 1e-6;
/// The bound is good enough when it is so close to what the program reaches.
constexpr double kCloseEnough = 1e-7;
constexpr double kRounding = 1e-9;

/// Equal nodes.
struct NodeClass {
  double cpu = 0, memory = 0;
  int gpus = 0;
  std::string model;
  double count = 0;
};
/// Equal pods.
struct PodType {
  double cpu = 0, memory = 0;
  int gpus = 0;
  std::int64_t share = 0;
  std::vector<std::string> models;
  double count = 0;
  bool whole() const { return share == static_cast<std::int64_t>(kThousandths); }
  double worth() const { return static_cast<double>(gpus) * static_cast<double>(share); }
};
/// How many shares of each size are on a GPU, by position in Instance::sizes.
using Pattern = std::vector<int>;

struct Instance {
  std::vector<NodeClass> classes;
  std::vector<PodType> types;
  std::vector<std::int64_t> sizes;  ///< of shares, rising
  std::vector<int> gangs;           ///< numbers of GPUs above 1, rising
  Scope scope = Scope::kNodes;

  bool may_hold(const NodeClass& node, const PodType& type) const {
    if (scope == Scope::kGpusAlone) return true;
    return type.cpu <= node.cpu && type.memory <= node.memory && type.gpus <= node.gpus &&
           (type.models.empty() || std::ranges::find(type.models, node.model) != type.models.end());
  }
  std::size_t size_of(std::int64_t share) const {
    return static_cast<std::size_t>(std::ranges::lower_bound(sizes, share) - sizes.begin());
  }
  std::size_t gang_of(int gpus) const {
    return static_cast<std::size_t>(std::ranges::lower_bound(gangs, gpus) - gangs.begin());
  }
};

template <class T>
void sort_unique(std::vector<T>& all) {
  std::ranges::sort(all);
  const auto rest = std::ranges::unique(all);
  all.erase(rest.begin(), rest.end());
}

Instance instance_of(const std::vector<TraceNode>& nodes, std::span<const TracePod* const> pods,
                     Scope scope) {
  const bool alone = scope == Scope::kGpusAlone;
  Instance made{.scope = scope};
  std::map<std::tuple<std::int64_t, std::int64_t, int, std::string>, double> classes;
  double all_gpus = 0;
  for (const auto& node : nodes) {
    if (node.gpus == 0) continue;
    ++classes[{node.cpu.count(), node.memory.count(), node.gpus, node.model}];
    all_gpus += node.gpus;
  }
  if (alone)
    made.classes.push_back({.gpus = 1, .count = all_gpus});
  else
    for (const auto& [key, count] : classes)
      made.classes.push_back({static_cast<double>(std::get<0>(key)),
                              static_cast<double>(std::get<1>(key)), std::get<2>(key),
                              std::get<3>(key), count});
  std::map<std::tuple<std::int64_t, std::int64_t, int, std::int64_t, std::vector<std::string>>,
           double>
      types;
  for (const auto* pod : pods) {
    if (pod->gpus == 0) continue;
    if (alone)
      ++types[{0, 0, pod->gpus, pod->share.count(), {}}];
    else
      ++types[{pod->cpu.count(), pod->memory.count(), pod->gpus, pod->share.count(), pod->models}];
  }
  for (const auto& [key, count] : types) {
    const auto& [cpu, memory, gpus, share, models] = key;
    made.types.push_back(
        {static_cast<double>(cpu), static_cast<double>(memory), gpus, share, models, count});
    if (!made.types.back().whole()) made.sizes.push_back(share);
    if (gpus > 1 && !alone) made.gangs.push_back(gpus);
  }
  sort_unique(made.sizes);
  sort_unique(made.gangs);
  return made;
}

/// Of one class of nodes.
struct Prices {
  double cpu = 0, memory = 0, gpu = 0;
  std::vector<double> gangs, shares;
};

/// The shares that are worth most together on one GPU.
struct Best {
  double worth = 0;
  Pattern pattern;
};
Best best_pattern(const Instance& instance, const std::vector<double>& prices) {
  std::vector<double> worth(kThousandths + 1, 0);
  std::vector<std::size_t> taken(kThousandths + 1, instance.sizes.size());
  for (std::size_t room = 1; room <= kThousandths; ++room) {
    worth[room] = worth[room - 1];
    for (std::size_t s = 0; s < instance.sizes.size(); ++s) {
      const auto size = static_cast<std::size_t>(instance.sizes[s]);
      if (size > room) break;
      if (const double with = worth[room - size] + prices[s]; with > worth[room])
        worth[room] = with, taken[room] = s;
    }
  }
  Best best{worth[kThousandths], Pattern(instance.sizes.size(), 0)};
  for (std::size_t room = kThousandths; room > 0;) {
    if (const auto s = taken[room]; s < instance.sizes.size()) {
      ++best.pattern[s];
      room -= static_cast<std::size_t>(instance.sizes[s]);
    } else {
      --room;
    }
  }
  return best;
}

double price_of(const Instance& instance, const PodType& type, const Prices& prices) {
  double sum = type.cpu * prices.cpu + type.memory * prices.memory;
  if (type.whole())
    sum += type.gpus * prices.gpu;
  else
    sum += prices.shares[instance.size_of(type.share)];
  if (type.gpus > 1 && !instance.gangs.empty()) sum += prices.gangs[instance.gang_of(type.gpus)];
  return sum;
}

/// The bound at these prices. GPUs are made as dear as their dearest pattern first.
double bound_at(const Instance& instance, std::vector<Prices> prices) {
  double sum = 0;
  for (std::size_t c = 0; c < instance.classes.size(); ++c) {
    const auto& node = instance.classes[c];
    auto& its = prices[c];
    its.gpu = std::max(its.gpu, best_pattern(instance, its.shares).worth);
    double each = node.cpu * its.cpu + node.memory * its.memory + node.gpus * its.gpu;
    for (std::size_t g = 0; g < instance.gangs.size(); ++g)
      each += its.gangs[g] * (node.gpus / instance.gangs[g]);
    sum += node.count * each;
  }
  for (const auto& type : instance.types) {
    double gain = 0;
    for (std::size_t c = 0; c < instance.classes.size(); ++c)
      if (instance.may_hold(instance.classes[c], type))
        gain = std::max(gain, type.worth() - price_of(instance, type, prices[c]));
    sum += type.count * gain;
  }
  return sum * (1 + kRounding);
}

/// The linear program, which grows by patterns.
class Packing {
 public:
  Packing(const Instance& instance, planning::Solver& solver)
      : instance_(instance), solver_(solver) {
    std::vector<planning::RowBounds> rows;
    const auto row = [&](double most) { rows.push_back({-kInfinite, most}); };
    for (const auto& type : instance.types) row(type.count);
    per_class_ = kFirstGang + instance.gangs.size() + instance.sizes.size();
    for (const auto& node : instance.classes) {
      row(node.count * node.cpu);
      row(node.count * node.memory);
      row(node.count * node.gpus);
      for (const int gang : instance.gangs) row(node.count * (node.gpus / gang));
      for (std::size_t s = 0; s < instance.sizes.size(); ++s) row(0);
    }
    solver_.set_rows(rows);
    add_pods();
    std::vector<NewColumn> batch;
    for (std::size_t c = 0; c < instance.classes.size(); ++c)
      for (std::size_t s = 0; s < instance.sizes.size(); ++s) {
        Pattern alike(instance.sizes.size(), 0);
        alike[s] = static_cast<int>(kThousandths) / static_cast<int>(instance.sizes[s]);
        batch.push_back(column_of(c, alike));
      }
    if (!batch.empty()) solver_.add_columns(batch);
  }

  /// Solves and takes in the patterns that prices call for; false when none are left, or when the
  /// solver gives up. `bound` becomes the least found.
  bool improve(PackingBound& bound) {
    const auto relaxed = solver_.relax(kLimitPerRound);
    if (relaxed.outcome != planning::Outcome::kOptimal) return false;
    bound.reached = -relaxed.objective;
    const auto prices = prices_of(relaxed);
    bound.milli_gpus = std::min(bound.milli_gpus, bound_at(instance_, prices));
    if (bound.milli_gpus - bound.reached <= kCloseEnough * bound.reached) return false;
    std::vector<NewColumn> batch;
    for (std::size_t c = 0; c < prices.size(); ++c)
      if (const auto best = best_pattern(instance_, prices[c].shares);
          best.worth > prices[c].gpu + kWorthwhile)
        batch.push_back(column_of(c, best.pattern));
    if (batch.empty()) return false;
    solver_.add_columns(batch);
    return true;
  }

 private:
  static constexpr std::size_t kCpu = 0, kMemory = 1, kGpus = 2, kFirstGang = 3;

  int row_of(std::size_t of_class, std::size_t which) const {
    return static_cast<int>(instance_.types.size() + of_class * per_class_ + which);
  }
  std::size_t share_row(std::size_t size) const {
    return kFirstGang + instance_.gangs.size() + size;
  }

  void add_pods() {
    std::vector<NewColumn> batch;
    for (std::size_t t = 0; t < instance_.types.size(); ++t) {
      const auto& type = instance_.types[t];
      for (std::size_t c = 0; c < instance_.classes.size(); ++c) {
        if (!instance_.may_hold(instance_.classes[c], type)) continue;
        NewColumn column{.cost = -type.worth(), .entries = {{static_cast<int>(t), 1}}};
        const auto add = [&](std::size_t which, double factor) {
          if (factor > 0) column.entries.push_back({row_of(c, which), factor});
        };
        add(kCpu, type.cpu);
        add(kMemory, type.memory);
        if (type.whole())
          add(kGpus, type.gpus);
        else
          add(share_row(instance_.size_of(type.share)), 1);
        if (type.gpus > 1 && !instance_.gangs.empty())
          add(kFirstGang + instance_.gang_of(type.gpus), 1);
        batch.push_back(std::move(column));
      }
    }
    if (!batch.empty()) solver_.add_columns(batch);
  }

  NewColumn column_of(std::size_t c, const Pattern& pattern) const {
    NewColumn column{.entries = {{row_of(c, kGpus), 1}}};
    for (std::size_t s = 0; s < pattern.size(); ++s)
      if (pattern[s] > 0)
        column.entries.push_back({row_of(c, share_row(s)), -static_cast<double>(pattern[s])});
    return column;
  }

  std::vector<Prices> prices_of(const planning::Relaxed& relaxed) const {
    std::vector<Prices> prices(instance_.classes.size());
    for (std::size_t c = 0; c < prices.size(); ++c) {
      const auto at = [&](std::size_t which) {
        return std::max(0.0, -relaxed.duals[static_cast<std::size_t>(row_of(c, which))]);
      };
      prices[c] = {.cpu = at(kCpu), .memory = at(kMemory), .gpu = at(kGpus)};
      for (std::size_t g = 0; g < instance_.gangs.size(); ++g)
        prices[c].gangs.push_back(at(kFirstGang + g));
      for (std::size_t s = 0; s < instance_.sizes.size(); ++s)
        prices[c].shares.push_back(at(share_row(s)));
    }
    return prices;
  }

  const Instance& instance_;
  planning::Solver& solver_;
  std::size_t per_class_ = 0;
};

}  // namespace

PackingBound packing_bound(const std::vector<TraceNode>& nodes,
                           std::span<const TracePod* const> pods, Scope scope,
                           const planning::SolverFactory& make_solver) {
  const auto instance = instance_of(nodes, pods, scope);
  PackingBound bound;
  double fleet = 0;
  for (const auto& node : instance.classes) fleet += node.count * node.gpus;
  for (const auto& type : instance.types) bound.milli_gpus += type.count * type.worth();
  bound.milli_gpus = std::min(bound.milli_gpus, fleet * static_cast<double>(kThousandths));
  if (instance.types.empty() || instance.classes.empty()) return bound;
  const auto solver = make_solver();
  Packing packing(instance, *solver);
  for (int round = 0; round < kMostRounds && packing.improve(bound);) ++round;
  return bound;
}

}  // namespace tessera::simulation
