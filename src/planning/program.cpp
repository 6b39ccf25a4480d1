#include "planning/program.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tessera::planning {
namespace {

constexpr int kServedRow = 0;
constexpr int kMovedRow = 1;
/// What floating-point answers may be off by.
constexpr double kSlack = 1e-6;
constexpr double kCloseToWhole = 1e-4;
constexpr std::int64_t kNoBound = std::numeric_limits<std::int64_t>::min() / 2;

}  // namespace

int Program::kind_row(std::size_t kind) const {
  return class_row(problem_.classes.size()) + static_cast<int>(kind);
}

int Program::want_row(std::size_t want) const {
  return kind_row(model_.kinds.size()) + static_cast<int>(want);
}

Program::Program(const Problem& problem, const Model& model, Solver& solver)
    : problem_(problem), model_(model), solver_(solver), limits_(no_limits(problem, model)) {
  add_rows();
  add_items();
  std::vector<NewColumn> batch;
  for (std::size_t c = 0; c < model_.targets.size(); ++c) {
    is_taken_.emplace_back(model_.targets[c].columns.size(), false);
    take(c, 0, batch);
  }
  flush(batch);
}

void Program::add_rows() {
  std::vector<RowBounds> rows = {{0, kInfinite}, {0, kInfinite}};
  for (const GpuClass& of : problem_.classes) {
    const auto count = static_cast<double>(of.count);
    rows.push_back({count, count});
  }
  for (const std::int64_t leased : model_.leased)
    rows.push_back({static_cast<double>(leased), kInfinite});
  for (const Want& want : model_.wants) rows.push_back({0, static_cast<double>(want.count)});
  solver_.set_rows(rows);
}

void Program::add_items() {
  std::vector<NewColumn> batch;
  for (std::size_t w = 0; w < model_.wants.size(); ++w) {
    const Want& want = model_.wants[w];
    for (std::size_t i = 0; i < want.kinds.size(); ++i) {
      items_.emplace_back(w, i);
      batch.push_back({static_cast<double>(cost_of(want, level_)),
                       static_cast<double>(want.count),
                       {{kServedRow, static_cast<double>(want.value)},
                        {kind_row(want.kinds[i]), -1},
                        {want_row(w), 1}}});
    }
  }
  flush(batch);
}

void Program::take(std::size_t of_class, std::size_t index, std::vector<NewColumn>& batch) {
  const Targets& targets = model_.targets[of_class];
  const Column& column = targets.columns[index];
  NewColumn made{static_cast<double>(cost_of(column, level_)), upper_of(of_class, index), {}};
  if (column.moved != 0) made.entries.push_back({kMovedRow, static_cast<double>(column.moved)});
  made.entries.push_back({class_row(of_class), 1});
  for (std::size_t k = 0; k < targets.kinds; ++k)
    if (column.offers[k] != 0)
      made.entries.push_back({kind_row(targets.first_kind + k), double(column.offers[k])});
  batch.push_back(std::move(made));
  columns_.push_back({of_class, index});
  is_taken_[of_class][index] = true;
}

void Program::flush(std::vector<NewColumn>& batch) {
  if (!batch.empty()) solver_.add_columns(batch);
  batch.clear();
}

void Program::cost_by(Level level) {
  level_ = level;
  std::vector<double> costs;
  for (const auto& [want, position] : items_)
    costs.push_back(static_cast<double>(cost_of(model_.wants[want], level)));
  for (const Taken& taken : columns_)
    costs.push_back(
        static_cast<double>(cost_of(model_.targets[taken.of_class].columns[taken.column], level)));
  solver_.set_costs(costs);
}

void Program::settle_served(std::int64_t at_least) {
  settled_.served = at_least;
  solver_.set_row(kServedRow, {static_cast<double>(at_least), kInfinite});
}

void Program::settle_moved(std::int64_t at_most) {
  settled_.moved = at_most;
  solver_.set_row(kMovedRow, {0, static_cast<double>(at_most)});
}

void Program::settle_moved_freely() {
  settled_.moved = 0;
  solver_.set_row(kMovedRow, {0, kInfinite});
}

Prices Program::prices_of(const Relaxed& relaxed) const {
  Prices prices;
  for (std::size_t k = 0; k < model_.kinds.size(); ++k)
    prices.kinds.push_back(relaxed.duals[static_cast<std::size_t>(kind_row(k))]);
  prices.served = relaxed.duals[kServedRow];
  prices.moved = -relaxed.duals[kMovedRow];
  return prices;
}

/// What a GPU with this target costs, less what its instances are worth at these prices.
double Program::priced(const Targets& targets, const Column& column, const Prices& prices) const {
  double cost = static_cast<double>(cost_of(column, level_));
  if (level_ == Level::kChanged) cost += prices.moved * static_cast<double>(column.moved);
  for (std::size_t k = 0; k < targets.kinds; ++k)
    cost -= std::max(prices.kinds[targets.first_kind + k], 0.0) * column.offers[k];
  return cost;
}

/// Per class the target that would improve the relaxation most. False: none would.
bool Program::take_helpful(const Relaxed& relaxed, const Prices& prices) {
  std::vector<NewColumn> batch;
  for (std::size_t c = 0; c < model_.targets.size(); ++c) {
    const Targets& targets = model_.targets[c];
    double best = relaxed.duals[static_cast<std::size_t>(class_row(c))] - kSlack;
    std::size_t found = targets.columns.size();
    for (std::size_t i = 0; i < targets.columns.size(); ++i) {
      if (is_taken_[c][i] || limits_.gpus[c][i] == 0) continue;
      const double cost = priced(targets, targets.columns[i], prices);
      if (cost >= best) continue;
      best = cost;
      found = i;
    }
    if (found != targets.columns.size()) take(c, found, batch);
  }
  const bool any = !batch.empty();
  flush(batch);
  return any;
}

std::optional<Program::Relaxation> Program::relax(Level level, const Patience& patience) {
  cost_by(level);
  Relaxation result;
  result.bound = kNoBound;
  while (patience.left() > base::Duration{}) {
    const Relaxed relaxed = solver_.relax(patience.left());
    if (relaxed.outcome != Outcome::kOptimal) return std::nullopt;
    const Prices prices = prices_of(relaxed);
    const std::int64_t bound = lower_bound(problem_, model_, limits_, level, settled_, prices);
    if (bound > result.bound) {
      result.bound = bound;
      result.prices = prices;
    }
    result.reached = static_cast<std::int64_t>(std::ceil(relaxed.objective - kSlack));
    // A bound that is met needs no more columns, unless the solution is not whole yet.
    const bool met = result.reached <= result.bound;
    if (met || !take_helpful(relaxed, prices)) {
      result.choice = whole(relaxed.x);
      return result;
    }
  }
  return std::nullopt;
}

Program::Branched Program::branch(Level level, const Patience& patience) {
  if (level != level_) cost_by(level);
  Branched result;
  const base::Duration left = patience.left();
  if (left <= base::Duration{}) return result;
  const Integral found = solver_.branch(left);
  result.outcome = found.outcome;
  result.bound = std::abs(found.bound) > 1e18
                     ? kNoBound
                     : static_cast<std::int64_t>(std::ceil(found.bound - kCloseToWhole));
  if (!found.x.empty()) result.choice = whole(found.x);
  return result;
}

void Program::take_all() {
  std::vector<NewColumn> batch;
  for (std::size_t c = 0; c < model_.targets.size(); ++c)
    for (std::size_t i = 0; i < model_.targets[c].columns.size(); ++i)
      if (!is_taken_[c][i] && limits_.gpus[c][i] != 0) take(c, i, batch);
  flush(batch);
}

/// The row of the class says no more than that all of its GPUs may get it.
double Program::upper_of(std::size_t of_class, std::size_t column) const {
  const std::int64_t most = limits_.gpus[of_class][column];
  return most >= problem_.classes[of_class].count ? kInfinite : static_cast<double>(most);
}

void Program::limit(Level level, const Prices& prices, std::int64_t at_most) {
  if (tighten(limits_, problem_, model_, level, settled_, prices, at_most)) set_uppers();
}

Program::Branched Program::branch_within(Level level, const Prices& prices, std::int64_t at_most,
                                         const Patience& patience) {
  const Limits before = limits_;
  limit(level, prices, at_most);
  take_all();
  auto result = branch(level, patience);
  limits_ = before;
  set_uppers();
  return result;
}

void Program::set_uppers() {
  int next = 0;
  for (const auto& [want, position] : items_)
    solver_.set_upper(next++, static_cast<double>(limits_.items[want][position]));
  for (const Taken& taken : columns_)
    solver_.set_upper(next++, upper_of(taken.of_class, taken.column));
}

/// The solution in whole numbers, if it is one.
std::optional<Choice> Program::whole(std::span<const double> x) const {
  Choice choice;
  for (const Targets& targets : model_.targets) choice.gpus.emplace_back(targets.columns.size(), 0);
  for (const Want& want : model_.wants) choice.items.emplace_back(want.kinds.size(), 0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double rounded = std::round(x[i]);
    if (std::abs(x[i] - rounded) > kCloseToWhole) return std::nullopt;
    const auto amount = static_cast<std::int64_t>(rounded);
    if (i < items_.size()) {
      choice.items[items_[i].first][items_[i].second] = amount;
    } else {
      const Taken& taken = columns_[i - items_.size()];
      choice.gpus[taken.of_class][taken.column] = amount;
    }
  }
  return choice;
}

}  // namespace tessera::planning
