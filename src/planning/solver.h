#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/time.h"

/// Linear programs, as a port: minimise cost · x with lower <= A x <= upper and 0 <= x <= limit.
///
/// A program grows: rows first, then columns in any number of batches; costs and bounds of rows may
/// change between solves, and an implementation goes on from where it was. The same calls give the
/// same answers as long as no time limit is hit. Answers are floating-point and not trusted: the
/// caller checks solutions and bounds in whole numbers.
///
/// Threads: one Solver belongs to one thread.
namespace tessera::planning {

struct RowBounds {
  double lower = 0;
  double upper = 0;
};
inline constexpr double kInfinite = 1e30;

struct Entry {
  int row = 0;
  double factor = 0;
};

struct NewColumn {
  double cost = 0;
  double upper = kInfinite;
  std::vector<Entry> entries;
};

enum class Outcome : std::uint8_t { kOptimal, kInfeasible, kStopped };

struct Relaxed {
  Outcome outcome = Outcome::kStopped;
  double objective = 0;
  std::vector<double> x;
  std::vector<double> duals;  ///< per row; reduced cost = cost - entries · duals
};

struct Integral {
  Outcome outcome = Outcome::kStopped;  ///< kStopped: x is the best found, empty if none was
  double bound = -kInfinite;            ///< no whole-numbered solution costs less
  std::vector<double> x;
};

class Solver {
 public:
  virtual ~Solver() = default;
  virtual void set_rows(std::span<const RowBounds> rows) = 0;  ///< once, before any column
  virtual void add_columns(std::span<const NewColumn> columns) = 0;
  virtual void set_costs(std::span<const double> costs) = 0;
  virtual void set_row(int row, RowBounds bounds) = 0;
  virtual void set_upper(int column, double upper) = 0;
  virtual Relaxed relax(base::Duration limit) = 0;
  /// All columns in whole numbers.
  virtual Integral branch(base::Duration limit) = 0;
};

using SolverFactory = std::function<std::unique_ptr<Solver>()>;

/// How long one may still go on: the time limit and cancellation, as a port.
class Patience {
 public:
  virtual ~Patience() = default;
  /// Zero once the time is over or the caller has lost interest.
  virtual base::Duration left() const = 0;
};

}  // namespace tessera::planning
