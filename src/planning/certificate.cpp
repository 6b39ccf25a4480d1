#include "planning/certificate.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

std::int64_t lower_bound(const Problem& problem, const Model& model, Level level,
                         const Settled& settled, const Prices& prices) {
  std::vector<std::int64_t> price;
  for (const double of : prices.kinds) price.push_back(on_grid(of));
  const std::int64_t keep_served = level == Level::kServed ? 0 : on_grid(prices.served);
  const std::int64_t keep_moved = level == Level::kChanged ? on_grid(prices.moved) : 0;

  Wide bound = Wide{keep_served} * settled.served - Wide{keep_moved} * settled.moved;
  for (std::size_t k = 0; k < price.size(); ++k) bound += Wide{price[k]} * model.leased[k];
  for (std::size_t c = 0; c < model.targets.size(); ++c) {
    const Targets& targets = model.targets[c];
    Wide least = 0;
    bool first = true;
    for (const Column& column : targets.columns) {
      Wide cost = Wide{cost_of(column, level)} * kGrid + Wide{keep_moved} * column.moved;
      for (std::size_t k = 0; k < targets.kinds; ++k)
        cost -= Wide{price[targets.first_kind + k]} * column.offers[k];
      least = first ? cost : std::min(least, cost);
      first = false;
    }
    bound += least * problem.classes[c].count;
  }
  for (const Want& want : model.wants) {
    std::int64_t cheapest = std::numeric_limits<std::int64_t>::max();
    for (const std::size_t kind : want.kinds) cheapest = std::min(cheapest, price[kind]);
    const Wide cost =
        Wide{cost_of(want, level)} * kGrid + cheapest - Wide{keep_served} * want.value;
    bound += std::min<Wide>(0, cost) * want.count;
  }
  constexpr Wide kFar = std::numeric_limits<std::int64_t>::max() / 2;
  return static_cast<std::int64_t>(std::clamp<Wide>(divide_up(bound, kGrid), -kFar, kFar));
}

}  // namespace tessera::planning
