#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "planning/solver.h"

/// Supply and demand in slots, whatever technique makes them: what some GPUs serve at most, and
/// what it takes at least to serve everything.
///
/// Where problem.h plans the change of one fleet's MIG layouts, this asks about GPUs that may be
/// divided in any way: a GPU is cut in one of several ways, each of which offers slices of some
/// kinds. A kind is whatever its slices are alike in: a MIG profile of a pool, a vGPU type, a share
/// of a certain size. GPUs in the same state form one stock with a count, so the work does not grow
/// with the fleet.
///
/// Every choice is checked in whole numbers before it is believed, and every bound from a
/// relaxation is the Lagrangian sum at the solver's prices, computed in whole numbers
/// (certificate.h says why that proves something).
namespace tessera::planning {

/// Slots and effects are counted in thousandths: a slice with overhead does less than one slot's
/// work.
inline constexpr std::int64_t kSlot = 1000;
/// Of Stock::count: as many as one likes, each at its cost.
inline constexpr std::int64_t kAnyNumber = std::numeric_limits<std::int64_t>::max();

struct Offer {
  std::size_t kind = 0;
  std::int64_t count = 0;
  friend auto operator<=>(const Offer&, const Offer&) = default;
};

/// One way to divide a GPU.
struct Cut {
  std::vector<Offer> offers;  ///< by rising kind, counts positive
  std::int64_t cost = 0;      ///< of a GPU that is divided so
};

/// GPUs in the same state.
struct Stock {
  std::int64_t count = kAnyNumber;
  std::vector<Cut> cuts;
};

/// A kind of slice that may serve a line.
struct Use {
  std::size_t kind = 0;
  std::int64_t effect = kSlot;  ///< what one slice is worth; positive
  std::int64_t cost = 0;        ///< of one slice, beside its GPU's
};

/// Slots that are asked for alike.
struct Line {
  std::int64_t need = 0;   ///< in thousandths of a slot
  std::int64_t value = 1;  ///< of one slot; positive
  std::vector<Use> uses;
};

/// Invariants: costs and needs are not negative; all costs, and all values times needs, add up to
/// at most 10^18.
struct Supply {
  std::vector<std::int64_t> kept;  ///< per kind: slices that must be offered and serve no line
  std::vector<Stock> stocks;
  std::vector<Line> lines;
};

struct SupplyChoice {
  std::vector<std::vector<std::int64_t>> gpus;   ///< [stock][cut]
  std::vector<std::vector<std::int64_t>> items;  ///< [line][use]
};

/// An answer with its proof. `proven`: figure and bound are equal.
struct SupplyAnswer {
  bool found = false;       ///< there is a choice; always so where the most is asked for
  bool impossible = false;  ///< proven that there is none
  SupplyChoice choice;
  std::int64_t figure = 0;
  std::int64_t bound = 0;
  bool proven = false;
};

/// Thousandths of slots of a line that a choice serves.
std::int64_t served_of(const Line& line, const std::vector<std::int64_t>& items);

/// Serves every line in full at the least cost; `figure` is that cost, `bound` the least possible.
SupplyAnswer least_cost(const Supply& supply, const SolverFactory& solver,
                        const Patience& patience);

/// Serves the most value with stocks that are all counted; `figure` is the sum of value times
/// thousandths of slots, `bound` the most possible.
SupplyAnswer most_served(const Supply& supply, const SolverFactory& solver,
                         const Patience& patience);

}  // namespace tessera::planning
