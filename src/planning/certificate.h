#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "planning/model.h"

/// The proof that nothing better exists: prices.
///
/// Give every wanted kind of instance a price. Each GPU then earns at most what its best target
/// layout is worth at these prices, and each item gains at most its value less the cheapest
/// instance that serves it; so no plan can beat the sum (the Lagrangian bound). Whatever the
/// prices, the bound holds; prices from a linear program make it tight. It is computed in whole
/// numbers from prices rounded to a grid, so it does not depend on a solver's arithmetic.
namespace tessera::planning {

enum class Level : std::uint8_t { kServed, kMoved, kChanged };

/// What earlier levels have settled.
struct Settled {
  std::int64_t served = 0;  ///< at least; for kMoved and kChanged
  std::int64_t moved = 0;   ///< at most; for kChanged
};

struct Prices {
  std::vector<double> kinds;  ///< per wanted kind; negative ones count as 0
  double served = 0;          ///< of the row that keeps what is served
  double moved = 0;           ///< of the row that keeps what is moved
};

/// How many GPUs of a class can get each column, and how many items of a want go to each kind, in
/// any choice that is still of interest. Prices prove that as well: a GPU with a column that costs
/// more than its class does at best makes the whole cost that much more, and where that exceeds
/// what lies between the bound and the choice that is known, no better choice has it.
struct Limits {
  std::vector<std::vector<std::int64_t>> gpus;   ///< [class][column]
  std::vector<std::vector<std::int64_t>> items;  ///< [want][position in Want::kinds]
};
Limits no_limits(const Problem& problem, const Model& model);
/// Leaves out what no choice has whose cost at this level is at most `at_most`. False: nothing was
/// left out.
bool tighten(Limits& limits, const Problem& problem, const Model& model, Level level,
             const Settled& settled, const Prices& prices, std::int64_t at_most);

/// A lower bound of the level's cost: of -served, of moved or of changed. Valid for every
/// choice within the limits that keeps what is settled.
std::int64_t lower_bound(const Problem& problem, const Model& model, const Limits& limits,
                         Level level, const Settled& settled, const Prices& prices);

/// Cost of one GPU with this column, and of one item of this want, at a level.
std::int64_t cost_of(const Column& column, Level level);
std::int64_t cost_of(const Want& want, Level level);

}  // namespace tessera::planning
