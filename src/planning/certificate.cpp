#include "planning/certificate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "planning/wide.h"

namespace tessera::planning {
namespace {

std::int64_t on_grid(double price) {
  constexpr double kHighest = 1e9;
  return std::llround(std::clamp(std::isnan(price) ? 0.0 : price, 0.0, kHighest) * kGrid);
}

}  // namespace

std::int64_t cost_of(const Column& column, Level level) {
  if (level == Level::kMoved) return column.moved;
  return level == Level::kChanged && column.changed ? 1 : 0;
}

std::int64_t cost_of(const Want& want, Level level) {
  return level == Level::kServed ? -want.value : 0;
}

namespace {

/// What each column and each item costs at some prices, on the grid.
class Priced {
 public:
  Priced(const Problem& problem, const Model& model, Level level, const Settled& settled,
         const Prices& prices)
      : problem_(problem), model_(model), level_(level) {
    for (const double of : prices.kinds) price_.push_back(on_grid(of));
    keep_served_ = level == Level::kServed ? 0 : on_grid(prices.served);
    keep_moved_ = level == Level::kChanged ? on_grid(prices.moved) : 0;
    fixed_ = Wide{keep_served_} * settled.served - Wide{keep_moved_} * settled.moved;
    for (std::size_t k = 0; k < price_.size(); ++k) fixed_ += Wide{price_[k]} * model.leased[k];
  }

  /// The least that a number of things cost that are dealt out among choices with limits, and what
  /// the dearest of them costs.
  struct Dealt {
    Wide sum = 0;
    Wide dearest = 0;
  };

  Dealt gpus(std::size_t c, const Limits& limits) const {
    return dealt(costs_of_class(c), limits.gpus[c], problem_.classes[c].count);
  }
  /// Items that nobody serves cost nothing.
  Dealt items(std::size_t w, const Limits& limits) const {
    auto costs = costs_of_want(w);
    auto most = limits.items[w];
    costs.push_back(0);
    most.push_back(model_.wants[w].count);
    return dealt(costs, most, model_.wants[w].count);
  }

  Wide bound(const Limits& limits) const {
    Wide sum = fixed_;
    for (std::size_t c = 0; c < model_.targets.size(); ++c) sum += gpus(c, limits).sum;
    for (std::size_t w = 0; w < model_.wants.size(); ++w) sum += items(w, limits).sum;
    return sum;
  }

  std::vector<Wide> costs_of_class(std::size_t c) const {
    const Targets& targets = model_.targets[c];
    std::vector<Wide> costs;
    for (const Column& column : targets.columns) {
      Wide cost = Wide{cost_of(column, level_)} * kGrid + Wide{keep_moved_} * column.moved;
      for (std::size_t k = 0; k < targets.kinds; ++k)
        cost -= Wide{price_[targets.first_kind + k]} * column.offers[k];
      costs.push_back(cost);
    }
    return costs;
  }
  std::vector<Wide> costs_of_want(std::size_t w) const {
    const Want& want = model_.wants[w];
    std::vector<Wide> costs;
    for (const std::size_t kind : want.kinds)
      costs.push_back(Wide{cost_of(want, level_)} * kGrid + price_[kind] -
                      Wide{keep_served_} * want.value);
    return costs;
  }

 private:
  /// Limits that leave too little for all are as good as none: nothing is left to be bounded.
  static Dealt dealt(const std::vector<Wide>& costs, const std::vector<std::int64_t>& most,
                     std::int64_t count) {
    const auto least = static_cast<std::size_t>(std::ranges::min_element(costs) - costs.begin());
    if (most[least] >= count) return {costs[least] * count, costs[least]};
    std::vector<std::size_t> order(costs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(costs[i], i); });
    Dealt all;
    for (const std::size_t i : order) {
      const std::int64_t here = std::min(most[i], count);
      if (here == 0) continue;
      all.sum += costs[i] * here;
      all.dearest = costs[i];
      count -= here;
      if (count == 0) break;
    }
    return all;
  }

  const Problem& problem_;
  const Model& model_;
  Level level_;
  std::vector<std::int64_t> price_;
  std::int64_t keep_served_ = 0;
  std::int64_t keep_moved_ = 0;
  Wide fixed_ = 0;
};

/// Each may be there so often that it does not make up for `room`. True: that is less than before.
bool tighten_all(std::vector<std::int64_t>& most, const std::vector<Wide>& costs, Wide dearest,
                 Wide room) {
  bool any = false;
  for (std::size_t i = 0; i < most.size(); ++i) {
    if (costs[i] <= dearest) continue;
    const Wide times = divide_down(room, costs[i] - dearest);
    if (times >= most[i]) continue;
    most[i] = static_cast<std::int64_t>(times);
    any = true;
  }
  return any;
}

}  // namespace

Limits no_limits(const Problem& problem, const Model& model) {
  Limits limits;
  for (std::size_t c = 0; c < model.targets.size(); ++c)
    limits.gpus.emplace_back(model.targets[c].columns.size(), problem.classes[c].count);
  for (const Want& want : model.wants) limits.items.emplace_back(want.kinds.size(), want.count);
  return limits;
}

bool tighten(Limits& limits, const Problem& problem, const Model& model, Level level,
             const Settled& settled, const Prices& prices, std::int64_t at_most) {
  const Priced priced(problem, model, level, settled, prices);
  const Wide room = Wide{at_most} * kGrid - priced.bound(limits);
  if (room < 0) return false;  // nothing is that good: there is nothing to be found anyway
  bool any = false;
  for (std::size_t c = 0; c < model.targets.size(); ++c) {
    const Wide dearest = priced.gpus(c, limits).dearest;
    any |= tighten_all(limits.gpus[c], priced.costs_of_class(c), dearest, room);
  }
  for (std::size_t w = 0; w < model.wants.size(); ++w) {
    const Wide dearest = priced.items(w, limits).dearest;
    any |= tighten_all(limits.items[w], priced.costs_of_want(w), dearest, room);
  }
  return any;
}

std::int64_t lower_bound(const Problem& problem, const Model& model, const Limits& limits,
                         Level level, const Settled& settled, const Prices& prices) {
  const Wide bound = Priced(problem, model, level, settled, prices).bound(limits);
  constexpr Wide kFar = std::numeric_limits<std::int64_t>::max() / 2;
  return static_cast<std::int64_t>(std::clamp<Wide>(divide_up(bound, kGrid), -kFar, kFar));
}

}  // namespace tessera::planning
