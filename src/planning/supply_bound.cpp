#include "planning/supply_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "planning/wide.h"

namespace tessera::planning {
namespace {

Wide wide_price(double price) {
  constexpr double kHighest = 1e13;
  const double sane = std::clamp(std::isnan(price) ? 0.0 : price, 0.0, kHighest);
  return static_cast<Wide>(std::floor(sane * static_cast<double>(kGrid) + 0.5));
}

std::int64_t narrow(Wide value) {
  constexpr Wide kFar = std::numeric_limits<std::int64_t>::max() / 2;
  return static_cast<std::int64_t>(std::clamp<Wide>(value, -kFar, kFar));
}

/// One bound, with prices on the grid.
class Bound {
 public:
  Bound(const Supply& supply, const Units& units, const Prices& prices)
      : supply_(supply), units_(units) {
    for (const double price : prices) prices_.push_back(wide_price(price));
  }

  /// In units of cost, rounded up.
  std::int64_t least_cost() {
    make_affordable();
    Wide sum = kept();
    for (const Stock& stock : supply_.stocks)
      if (stock.count != kAnyNumber) sum -= best_gain(stock) * stock.count;
    for (const Line& line : supply_.lines) sum += least_for(line);
    return narrow(std::max<Wide>(divide_up(sum, kGrid), 0));
  }

  /// In units of value times effect, rounded down.
  std::int64_t most_served() const {
    Wide sum = -kept();
    for (const Stock& stock : supply_.stocks) {
      Wide best = 0;
      for (const Cut& cut : stock.cuts) best = std::max(best, worth(cut));
      sum += best * stock.count;
    }
    for (const Line& line : supply_.lines) sum += most_for(line);
    return narrow(std::max<Wide>(divide_down(sum, kGrid), 0));
  }

 private:
  Wide worth(const Cut& cut) const {
    Wide worth = 0;
    for (const Offer& offer : cut.offers) worth += prices_[offer.kind] * offer.count;
    return worth;
  }
  Wide cost(std::int64_t of) const { return Wide{of / units_.cost} * kGrid; }

  /// Lowers the prices until no cut that can be bought is worth more than it costs: buying without
  /// end would undercut any bound.
  void make_affordable() {
    for (const Stock& stock : supply_.stocks)
      for (const Cut& cut : stock.cuts)
        if (stock.count == kAnyNumber && cut.cost == 0)
          for (const Offer& offer : cut.offers) prices_[offer.kind] = 0;
    // The worst ratio worth : cost, in millionths of a millionth, rounded up.
    constexpr Wide kOne = 1'000'000'000'000;
    Wide worst = kOne;
    for (const Stock& stock : supply_.stocks)
      for (const Cut& cut : stock.cuts)
        if (stock.count == kAnyNumber && cut.cost != 0)
          worst = std::max(worst, ratio(worth(cut), cost(cut.cost), kOne));
    if (worst == kOne) return;
    constexpr Wide kBeyondReason = Wide{1} << 80;
    if (worst > kBeyondReason) return prices_.assign(prices_.size(), 0);
    for (Wide& price : prices_) price = scaled(price, kOne, worst);
  }

  /// ceil(worth * one / cost) without leaving 128 bits.
  static Wide ratio(Wide worth, Wide cost, Wide one) {
    const Wide whole = worth / cost;
    // A part of less than `cost` is at most 10^24; ten digits are cut off where it is large.
    Wide part = worth % cost;
    constexpr Wide kMany = Wide{1} << 80;
    while (cost > kMany) part = part / 2 + 1, cost /= 2;
    return whole * one + divide_up(part * one, cost);
  }

  /// floor(price * one / worst), rounded down a little more where it is large.
  static Wide scaled(Wide price, Wide one, Wide worst) {
    const Wide whole = price / worst;
    return whole * one + price % worst * one / worst;
  }

  Wide kept() const {
    Wide sum = 0;
    for (std::size_t k = 0; k < prices_.size(); ++k) sum += prices_[k] * supply_.kept[k];
    return sum;
  }

  Wide best_gain(const Stock& stock) const {
    Wide best = 0;
    for (const Cut& cut : stock.cuts) best = std::max(best, worth(cut) - cost(cut.cost));
    return best;
  }

  Wide least_for(const Line& line) const {
    std::optional<Wide> least;
    for (const Use& use : line.uses) {
      const Wide all =
          divide_down((prices_[use.kind] + cost(use.cost)) * (line.need / units_.effect),
                      use.effect / units_.effect);
      if (!least || all < *least) least = all;
    }
    return least.value_or(0);
  }

  Wide most_for(const Line& line) const {
    Wide most = 0;
    for (const Use& use : line.uses) {
      const std::int64_t effect = use.effect / units_.effect;
      const Wide gain = cost(line.value) * effect - prices_[use.kind];
      most = std::max(most, divide_up(gain * (line.need / units_.effect), effect));
    }
    return most;
  }

  const Supply& supply_;
  const Units& units_;
  std::vector<Wide> prices_;
};

}  // namespace

std::int64_t Units::figure(std::int64_t cost_in_units, Aim aim) const {
  return aim == Aim::kLeastCost ? cost_in_units * cost : -cost_in_units * cost * effect;
}

Units units_of(const Supply& supply, Aim aim) {
  std::int64_t effect = 0, cost = 0;
  for (const Stock& stock : supply.stocks)
    for (const Cut& cut : stock.cuts)
      if (aim == Aim::kLeastCost) cost = std::gcd(cost, cut.cost);
  for (const Line& line : supply.lines) {
    effect = std::gcd(effect, line.need);
    if (aim == Aim::kMostServed) cost = std::gcd(cost, line.value);
    for (const Use& use : line.uses) {
      effect = std::gcd(effect, use.effect);
      if (aim == Aim::kLeastCost) cost = std::gcd(cost, use.cost);
    }
  }
  return {std::max<std::int64_t>(effect, 1), std::max<std::int64_t>(cost, 1)};
}

std::int64_t bound_of(const Supply& supply, Aim aim, const Units& units, const Prices& prices) {
  Bound bound(supply, units, prices);
  if (aim == Aim::kLeastCost) return units.figure(bound.least_cost(), aim);
  return units.figure(-bound.most_served(), aim);
}

}  // namespace tessera::planning
