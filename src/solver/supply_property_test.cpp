// Small supplies against a search through every number of GPUs, cut in every way.

#include <algorithm>
#include <functional>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "base/random.h"
#include "planning/supply.h"
#include "solver/coin_solver.h"
#include "solver/unhurried.h"

namespace tessera::planning {
namespace {

class Never final : public Patience {
 public:
  base::Duration left() const override { return {}; }
};

constexpr std::size_t kKinds = 3;

std::int64_t below(base::Random& random, std::uint64_t limit) {
  return static_cast<std::int64_t>(random.below(limit));
}

Cut random_cut(base::Random& random, std::int64_t cost) {
  Cut cut{.offers = {}, .cost = cost};
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    if (random.chance(1, 2)) cut.offers.push_back({kind, 1 + below(random, 3)});
  return cut;
}

Line random_line(base::Random& random, bool costly) {
  Line line{.need = below(random, 4) * kSlot, .value = 1 + below(random, 5), .uses = {}};
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    if (random.chance(2, 3))
      line.uses.push_back({.kind = kind,
                           .effect = random.chance(1, 3) ? kSlot * 9 / 10 : kSlot,
                           .cost = costly ? below(random, 3) : 0});
  return line;
}

/// What it takes at least: some GPUs at hand, others to be bought.
Supply random_purchase(base::Random& random) {
  Supply supply{.kept = std::vector<std::int64_t>(kKinds, 0), .stocks = {}, .lines = {}};
  const std::int64_t unit = random.chance(1, 2) ? 1 : 7;
  for (std::int64_t i = 1 + below(random, 2); i > 0; --i) {
    Stock shop;
    const std::int64_t cost = unit * (1 + below(random, 3));
    for (std::int64_t c = 1 + below(random, 2); c > 0; --c)
      shop.cuts.push_back(random_cut(random, cost));
    supply.stocks.push_back(std::move(shop));
  }
  if (random.chance(1, 2)) supply.stocks.push_back({.count = 1, .cuts = {random_cut(random, 0)}});
  for (std::int64_t l = 1 + below(random, 2); l > 0; --l)
    supply.lines.push_back(random_line(random, random.chance(1, 3)));
  return supply;
}

/// What some GPUs serve at most, where some of their slices are taken.
Supply random_fleet(base::Random& random) {
  Supply supply{.kept = std::vector<std::int64_t>(kKinds, 0), .stocks = {}, .lines = {}};
  for (std::int64_t i = 1 + below(random, 2); i > 0; --i) {
    Stock stock{.count = 1 + below(random, 3), .cuts = {}};
    for (std::int64_t c = 1 + below(random, 3); c > 0; --c)
      stock.cuts.push_back(random_cut(random, 0));
    for (const Offer& offer : stock.cuts[0].offers)
      if (random.chance(1, 3)) supply.kept[offer.kind] += below(random, 2);
    supply.stocks.push_back(std::move(stock));
  }
  for (std::int64_t l = 1 + below(random, 3); l > 0; --l)
    supply.lines.push_back(random_line(random, false));
  return supply;
}

/// Tries every number of GPUs for every cut, and every way to hand out their slices.
class SlowSupply {
 public:
  explicit SlowSupply(const Supply& supply) : supply_(supply) {}

  std::optional<std::int64_t> least_cost() {
    // Every line alone needs at most 4 slices, so no more GPUs than lines x 4 are ever useful.
    std::optional<std::int64_t> least;
    each_choice([&](const std::vector<std::int64_t>& room, std::int64_t cost) {
      if (least && cost >= *least) return;
      cheapest_ = std::nullopt;
      auto left = room;
      hand_out(0, 0, 0, 0, left);
      if (cheapest_ && (!least || cost + *cheapest_ < *least)) least = cost + *cheapest_;
    });
    return least;
  }

  std::int64_t most_served() {
    std::int64_t most = 0;
    each_choice([&](const std::vector<std::int64_t>& room, std::int64_t) {
      auto left = room;
      most = std::max(most, most_from(0, 0, 0, left));
    });
    return most;
  }

 private:
  using Visit = std::function<void(const std::vector<std::int64_t>&, std::int64_t)>;

  void each_choice(const Visit& visit) {
    std::vector<std::int64_t> room;
    for (const std::int64_t kept : supply_.kept) room.push_back(-kept);
    choose(0, 0, 0, 0, room, visit);
  }

  void choose(std::size_t stock, std::size_t cut, std::int64_t used, std::int64_t cost,
              std::vector<std::int64_t>& room, const Visit& visit) {
    if (stock == supply_.stocks.size()) {
      if (std::ranges::all_of(room, [](std::int64_t free) { return free >= 0; })) visit(room, cost);
      return;
    }
    const Stock& of = supply_.stocks[stock];
    if (cut == of.cuts.size()) return choose(stock + 1, 0, 0, cost, room, visit);
    const auto most = static_cast<std::int64_t>(supply_.lines.size()) * 4;
    const std::int64_t limit = std::min(of.count, most);
    for (std::int64_t gpus = 0; used + gpus <= limit; ++gpus) {
      for (const Offer& offer : of.cuts[cut].offers) room[offer.kind] += gpus * offer.count;
      choose(stock, cut + 1, used + gpus, cost + gpus * of.cuts[cut].cost, room, visit);
      for (const Offer& offer : of.cuts[cut].offers) room[offer.kind] -= gpus * offer.count;
    }
  }

  void hand_out(std::size_t line, std::size_t use, std::int64_t served, std::int64_t cost,
                std::vector<std::int64_t>& room) {
    if (cheapest_ && cost >= *cheapest_) return;
    if (line == supply_.lines.size()) {
      cheapest_ = cost;
      return;
    }
    const Line& of = supply_.lines[line];
    if (served >= of.need) return hand_out(line + 1, 0, 0, cost, room);
    if (use == of.uses.size()) return;
    hand_out(line, use + 1, served, cost, room);
    std::int64_t& free = room[of.uses[use].kind];
    if (free <= 0) return;
    --free;
    hand_out(line, use, served + of.uses[use].effect, cost + of.uses[use].cost, room);
    ++free;
  }

  std::int64_t most_from(std::size_t line, std::size_t use, std::int64_t served,
                         std::vector<std::int64_t>& room) {
    if (line == supply_.lines.size()) return 0;
    const Line& of = supply_.lines[line];
    const std::int64_t gained = std::min(served, of.need) * of.value;
    std::int64_t most = gained + most_from(line + 1, 0, 0, room);
    if (served >= of.need) return most;
    for (; use < of.uses.size(); ++use) {
      std::int64_t& free = room[of.uses[use].kind];
      if (free <= 0) continue;
      --free;
      most = std::max(most, most_from(line, use, served + of.uses[use].effect, room));
      ++free;
    }
    return most;
  }

  const Supply& supply_;
  std::optional<std::int64_t> cheapest_;
};

TEST(SupplyProperty, NothingCheaperServesEverything) {
  int possible = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    base::SeededRandom random(seed);
    const Supply supply = random_purchase(random);
    const SupplyAnswer answer = least_cost(supply, solver::make_coin_solver, Unhurried());
    const auto least = SlowSupply(supply).least_cost();
    ASSERT_EQ(answer.found, least.has_value());
    EXPECT_EQ(answer.impossible, !least.has_value());
    EXPECT_TRUE(answer.proven);
    if (!least) continue;
    ++possible;
    EXPECT_EQ(answer.figure, *least);
    EXPECT_EQ(answer.bound, *least);
  }
  EXPECT_GT(possible, 100);
}

TEST(SupplyProperty, NothingServesMore) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    base::SeededRandom random(seed);
    const Supply supply = random_fleet(random);
    const SupplyAnswer answer = most_served(supply, solver::make_coin_solver, Unhurried());
    const std::int64_t most = SlowSupply(supply).most_served();
    EXPECT_TRUE(answer.found);
    EXPECT_EQ(answer.figure, most);
    EXPECT_EQ(answer.bound, most);
    EXPECT_TRUE(answer.proven);
  }
}

TEST(SupplyProperty, WithoutPatienceTheBoundsHold) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    base::SeededRandom random(seed);
    const Supply purchase = random_purchase(random);
    const SupplyAnswer bought = least_cost(purchase, solver::make_coin_solver, Never());
    const auto least = SlowSupply(purchase).least_cost();
    if (bought.found) {
      EXPECT_GE(bought.figure, least.value());
    }
    if (least) {
      EXPECT_LE(bought.bound, *least);
    }
    const Supply fleet = random_fleet(random);
    const SupplyAnswer served = most_served(fleet, solver::make_coin_solver, Never());
    EXPECT_GE(served.bound, SlowSupply(fleet).most_served());
  }
}

TEST(Supply, AMillionSlotsAreCountedExactly) {
  // 7 of one kind or 3 of the other on a GPU.
  const Supply supply{.kept = {0, 0},
                      .stocks = {{.count = kAnyNumber,
                                  .cuts = {{.offers = {{0, 7}}, .cost = 1},
                                           {.offers = {{0, 1}, {1, 3}}, .cost = 1}}}},
                      .lines = {{.need = 1'000'000 * kSlot, .value = 1, .uses = {{.kind = 0}}},
                                {.need = 300'000 * kSlot, .value = 1, .uses = {{.kind = 1}}}}};
  const SupplyAnswer answer = least_cost(supply, solver::make_coin_solver, Unhurried());
  // 100,000 GPUs for the second line leave 900,000 of the first: 128,572 more.
  EXPECT_EQ(answer.figure, 228'572);
  EXPECT_TRUE(answer.proven);
}

}  // namespace
}  // namespace tessera::planning
