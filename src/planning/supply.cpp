#include "planning/supply.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "planning/supply_bound.h"

namespace tessera::planning {
namespace {

/// What floating-point answers may be off by.
constexpr double kCloseToWhole = 1e-4;

/// Parts of size `by` that make up `value`, the last one perhaps not whole.
std::int64_t parts_of(std::int64_t value, std::int64_t by) {
  return (value + by - 1) / by;
}

/// Slices that a line takes at most.
std::int64_t most_items(const Line& line, const Use& use) {
  return parts_of(line.need, use.effect);
}

/// Checks every rule in whole numbers. False: `choice` breaks one.
bool figure_of(const Supply& supply, const SupplyChoice& choice, Aim aim, std::int64_t& figure) {
  figure = 0;
  std::vector<std::int64_t> room(supply.kept.size(), 0);
  for (std::size_t k = 0; k < room.size(); ++k) room[k] = -supply.kept[k];
  for (std::size_t s = 0; s < supply.stocks.size(); ++s) {
    const Stock& stock = supply.stocks[s];
    std::int64_t left = stock.count;
    for (std::size_t c = 0; c < stock.cuts.size(); ++c) {
      const std::int64_t gpus = choice.gpus[s][c];
      if (gpus < 0 || gpus > left) return false;
      if (stock.count != kAnyNumber) left -= gpus;
      if (aim == Aim::kLeastCost) figure += gpus * stock.cuts[c].cost;
      for (const Offer& offer : stock.cuts[c].offers) room[offer.kind] += gpus * offer.count;
    }
  }
  for (std::size_t l = 0; l < supply.lines.size(); ++l) {
    const Line& line = supply.lines[l];
    for (std::size_t u = 0; u < line.uses.size(); ++u) {
      const std::int64_t items = choice.items[l][u];
      if (items < 0 || (room[line.uses[u].kind] -= items) < 0) return false;
      if (aim == Aim::kLeastCost) figure += items * line.uses[u].cost;
    }
    const std::int64_t served = served_of(line, choice.items[l]);
    if (aim == Aim::kLeastCost && served < line.need) return false;
    if (aim == Aim::kMostServed) figure += served * line.value;
  }
  return std::ranges::all_of(room, [](std::int64_t free) { return free >= 0; });
}

SupplyChoice nothing(const Supply& supply) {
  SupplyChoice choice;
  for (const Stock& stock : supply.stocks) choice.gpus.emplace_back(stock.cuts.size(), 0);
  for (const Line& line : supply.lines) choice.items.emplace_back(line.uses.size(), 0);
  return choice;
}

/// Each line on GPUs of its own: what can be bought without thinking.
SupplyChoice each_alone(const Supply& supply) {
  SupplyChoice choice = nothing(supply);
  for (std::size_t l = 0; l < supply.lines.size(); ++l) {
    const Line& line = supply.lines[l];
    double least = -1;
    std::size_t use = 0, stock = 0, cut = 0;
    std::int64_t gpus = 0;
    for (std::size_t u = 0; u < line.uses.size(); ++u)
      for (std::size_t s = 0; s < supply.stocks.size(); ++s) {
        if (supply.stocks[s].count != kAnyNumber) continue;
        for (std::size_t c = 0; c < supply.stocks[s].cuts.size(); ++c)
          for (const Offer& offer : supply.stocks[s].cuts[c].offers) {
            if (offer.kind != line.uses[u].kind) continue;
            const std::int64_t items = most_items(line, line.uses[u]);
            const std::int64_t needed = parts_of(items, offer.count);
            const double cost = double(needed) * double(supply.stocks[s].cuts[c].cost) +
                                double(items) * double(line.uses[u].cost);
            if (least >= 0 && cost >= least) continue;
            least = cost, use = u, stock = s, cut = c, gpus = needed;
          }
      }
    if (least < 0) continue;
    choice.gpus[stock][cut] += gpus;
    choice.items[l][use] = most_items(line, line.uses[use]);
  }
  return choice;
}

/// Every GPU is cut the first way; the most valuable lines take what there is.
SupplyChoice first_cuts(const Supply& supply) {
  SupplyChoice choice = nothing(supply);
  std::vector<std::int64_t> room(supply.kept.size(), 0);
  for (std::size_t k = 0; k < room.size(); ++k) room[k] = -supply.kept[k];
  for (std::size_t s = 0; s < supply.stocks.size(); ++s) {
    const Stock& stock = supply.stocks[s];
    if (stock.cuts.empty() || stock.count == kAnyNumber) continue;
    choice.gpus[s][0] = stock.count;
    for (const Offer& offer : stock.cuts[0].offers) room[offer.kind] += stock.count * offer.count;
  }
  std::vector<std::size_t> order(supply.lines.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(
      order, [&](auto a, auto b) { return supply.lines[a].value > supply.lines[b].value; });
  for (const std::size_t l : order) {
    const Line& line = supply.lines[l];
    std::int64_t left = line.need;
    for (std::size_t u = 0; u < line.uses.size() && left > 0; ++u) {
      std::int64_t& free = room[line.uses[u].kind];
      const std::int64_t items =
          std::min(parts_of(left, line.uses[u].effect), std::max<std::int64_t>(free, 0));
      choice.items[l][u] = items;
      free -= items;
      left -= items * line.uses[u].effect;
    }
  }
  return choice;
}

/// The supply as a program for the solver: rows for counted stocks, kinds and lines; columns for
/// cuts, items and, where the most is asked for, what each line is served.
class Program {
 public:
  Program(const Supply& supply, Aim aim, const Units& units, Solver& solver)
      : supply_(supply), aim_(aim), units_(units) {
    number_rows();
    solver.set_rows(rows_);
    std::vector<NewColumn> columns;
    add_cuts(columns);
    add_items(columns);
    if (aim_ == Aim::kMostServed) add_served(columns);
    if (!columns.empty()) solver.add_columns(columns);
  }

  Prices prices_of(const Relaxed& relaxed) const {
    Prices prices;
    for (std::size_t k = 0; k < supply_.kept.size(); ++k)
      prices.push_back(relaxed.duals[static_cast<std::size_t>(kind_row(k))]);
    return prices;
  }

  /// The solution in whole numbers, if it is one.
  std::optional<SupplyChoice> whole(std::span<const double> x) const {
    SupplyChoice choice = nothing(supply_);
    std::size_t next = 0;
    const auto take = [&](std::int64_t& out) {
      const double rounded = std::round(x[next]);
      out = static_cast<std::int64_t>(rounded);
      return std::abs(x[next++] - rounded) <= kCloseToWhole;
    };
    for (auto& gpus : choice.gpus)
      for (auto& count : gpus)
        if (!take(count)) return std::nullopt;
    for (auto& items : choice.items)
      for (auto& count : items)
        if (!take(count)) return std::nullopt;
    return choice;
  }

 private:
  int kind_row(std::size_t kind) const { return first_kind_ + static_cast<int>(kind); }
  int line_row(std::size_t line) const { return first_line_ + static_cast<int>(line); }

  void number_rows() {
    for (const Stock& stock : supply_.stocks) {
      stock_rows_.push_back(stock.count == kAnyNumber ? -1 : static_cast<int>(rows_.size()));
      if (stock.count != kAnyNumber)
        rows_.push_back({-kInfinite, static_cast<double>(stock.count)});
    }
    first_kind_ = static_cast<int>(rows_.size());
    for (const std::int64_t kept : supply_.kept)
      rows_.push_back({static_cast<double>(kept), kInfinite});
    first_line_ = static_cast<int>(rows_.size());
    for (const Line& line : supply_.lines) {
      const auto need = static_cast<double>(line.need / units_.effect);
      rows_.push_back({aim_ == Aim::kLeastCost ? need : 0, kInfinite});
    }
  }

  double cost(std::int64_t of) const {
    return aim_ == Aim::kLeastCost ? static_cast<double>(of / units_.cost) : 0;
  }

  void add_cuts(std::vector<NewColumn>& columns) const {
    for (std::size_t s = 0; s < supply_.stocks.size(); ++s)
      for (const Cut& cut : supply_.stocks[s].cuts) {
        NewColumn made{cost(cut.cost), kInfinite, {}};
        if (stock_rows_[s] >= 0) made.entries.push_back({stock_rows_[s], 1});
        for (const Offer& offer : cut.offers)
          made.entries.push_back({kind_row(offer.kind), static_cast<double>(offer.count)});
        columns.push_back(std::move(made));
      }
  }

  void add_items(std::vector<NewColumn>& columns) const {
    for (std::size_t l = 0; l < supply_.lines.size(); ++l)
      for (const Use& use : supply_.lines[l].uses)
        columns.push_back({cost(use.cost),
                           static_cast<double>(most_items(supply_.lines[l], use)),
                           {{kind_row(use.kind), -1},
                            {line_row(l), static_cast<double>(use.effect / units_.effect)}}});
  }

  void add_served(std::vector<NewColumn>& columns) const {
    for (std::size_t l = 0; l < supply_.lines.size(); ++l)
      columns.push_back({-static_cast<double>(supply_.lines[l].value / units_.cost),
                         static_cast<double>(supply_.lines[l].need / units_.effect),
                         {{line_row(l), -1}}});
  }

  const Supply& supply_;
  Aim aim_;
  const Units& units_;
  std::vector<RowBounds> rows_;
  std::vector<int> stock_rows_;
  int first_kind_ = 0;
  int first_line_ = 0;
};

/// One search: the best choice so far, and what is known about better ones. Inside, less is better:
/// what is served counts as a negative cost.
class Search {
 public:
  Search(const Supply& supply, Aim aim, const SolverFactory& factory, const Patience& patience)
      : supply_(supply), aim_(aim), patience_(patience), factory_(factory) {}

  SupplyAnswer run() {
    units_ = units_of(supply_, aim_);
    answer_.bound = bound_of(supply_, aim_, units_, Prices(supply_.kept.size(), 0));
    offer(aim_ == Aim::kLeastCost ? each_alone(supply_) : first_cuts(supply_));
    if (aim_ == Aim::kMostServed) offer(nothing(supply_));
    if (!met() && patience_.left() > base::Duration{}) solve();
    answer_.proven = answer_.impossible || met();
    return std::move(answer_);
  }

 private:
  bool better(std::int64_t figure, std::int64_t than) const {
    return aim_ == Aim::kLeastCost ? figure < than : figure > than;
  }

  void offer(SupplyChoice choice) {
    std::int64_t figure = 0;
    if (!figure_of(supply_, choice, aim_, figure)) return;
    if (answer_.found && !better(figure, answer_.figure)) return;
    answer_.choice = std::move(choice);
    answer_.figure = figure;
    answer_.found = true;
  }

  void offer(std::optional<SupplyChoice> choice) {
    if (choice) offer(std::move(*choice));
  }

  /// A bound is worth something where it is tighter than the one there is.
  void tighten(std::int64_t bound) {
    if (better(answer_.bound, bound)) answer_.bound = bound;
  }

  bool met() const { return answer_.found && answer_.figure == answer_.bound; }

  void solve() {
    const auto solver = factory_();
    const Program program(supply_, aim_, units_, *solver);
    const Relaxed relaxed = solver->relax(patience_.left());
    if (relaxed.outcome == Outcome::kInfeasible) answer_.impossible = !answer_.found;
    if (relaxed.outcome != Outcome::kOptimal) return;
    tighten(bound_of(supply_, aim_, units_, program.prices_of(relaxed)));
    offer(program.whole(relaxed.x));
    if (met() || patience_.left() <= base::Duration{}) return;
    const Integral whole = solver->branch(patience_.left());
    if (!whole.x.empty()) offer(program.whole(whole.x));
    if (whole.outcome == Outcome::kInfeasible) answer_.impossible = !answer_.found;
    if (whole.outcome != Outcome::kInfeasible) tighten_by(whole.bound);
  }

  /// By what branching has left: its completeness is believed, its arithmetic not beyond nine
  /// digits.
  void tighten_by(double bound) {
    constexpr double kSensible = 1e15;
    if (std::abs(bound) > kSensible) return;
    const double off = std::max(kCloseToWhole, std::abs(bound) * 1e-9);
    const auto whole = static_cast<std::int64_t>(std::ceil(bound - off));
    const std::int64_t figure = units_.figure(whole, aim_);
    // Not beyond what was reached and checked.
    tighten(answer_.found && better(answer_.figure, figure) ? answer_.figure : figure);
  }

  const Supply& supply_;
  Aim aim_;
  const Patience& patience_;
  const SolverFactory& factory_;
  Units units_;
  SupplyAnswer answer_;
};

}  // namespace

std::int64_t served_of(const Line& line, const std::vector<std::int64_t>& items) {
  std::int64_t served = 0;
  for (std::size_t u = 0; u < line.uses.size(); ++u) served += items[u] * line.uses[u].effect;
  return std::min(served, line.need);
}

SupplyAnswer least_cost(const Supply& supply, const SolverFactory& solver,
                        const Patience& patience) {
  return Search(supply, Aim::kLeastCost, solver, patience).run();
}

SupplyAnswer most_served(const Supply& supply, const SolverFactory& solver,
                         const Patience& patience) {
  return Search(supply, Aim::kMostServed, solver, patience).run();
}

}  // namespace tessera::planning
