#include "solver/coin_solver.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "solver/apart.h"

// The library's headers are not written for our warnings.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#include <coin/Cbc_C_Interface.h>
#include <coin/ClpPrimalColumnDantzig.hpp>
#include <coin/ClpSimplex.hpp>
#include <coin/CoinPackedMatrix.hpp>
#pragma GCC diagnostic pop

namespace tessera::solver {
namespace {

using planning::Integral;
using planning::NewColumn;
using planning::Outcome;
using planning::Relaxed;
using planning::RowBounds;

double seconds(base::Duration limit) {
  return std::max(0.01, static_cast<double>(limit.count()) / 1000);
}

/// Columns in the compressed form that the library takes.
struct Compressed {
  std::vector<CoinBigIndex> starts = {0};
  std::vector<int> rows;
  std::vector<double> factors, lower, upper, costs;

  explicit Compressed(std::span<const NewColumn> columns) {
    for (const NewColumn& column : columns) {
      for (const planning::Entry& entry : column.entries) {
        rows.push_back(entry.row);
        factors.push_back(entry.factor);
      }
      starts.push_back(static_cast<CoinBigIndex>(rows.size()));
      lower.push_back(0);
      upper.push_back(column.upper >= planning::kInfinite ? COIN_DBL_MAX : column.upper);
      costs.push_back(column.cost);
    }
  }
};

double bound_for_clp(double bound) {
  return bound >= planning::kInfinite ? COIN_DBL_MAX : bound;
}

struct CbcDeleter {
  void operator()(Cbc_Model* model) const { Cbc_deleteModel(model); }
};
/// The library calls its model `void`.
using CbcPointer = std::unique_ptr<Cbc_Model, CbcDeleter>;

class CoinSolver final : public planning::Solver {
 public:
  CoinSolver() {
    clp_.setLogLevel(0);
    // Debian's build keeps the library's assertions, and the default rule (steepest edge) can trip
    // over one of its own.
    ClpPrimalColumnDantzig rule;
    clp_.setPrimalColumnPivotAlgorithm(rule);
  }

  void set_rows(std::span<const RowBounds> rows) override {
    clp_.resize(static_cast<int>(rows.size()), 0);
    for (std::size_t i = 0; i < rows.size(); ++i) set_row(static_cast<int>(i), rows[i]);
  }

  void add_columns(std::span<const NewColumn> columns) override {
    const Compressed made(columns);
    clp_.addColumns(static_cast<int>(columns.size()), made.lower.data(), made.upper.data(),
                    made.costs.data(), made.starts.data(), made.rows.data(), made.factors.data());
  }

  void set_costs(std::span<const double> costs) override {
    for (std::size_t i = 0; i < costs.size(); ++i)
      clp_.setObjectiveCoefficient(static_cast<int>(i), costs[i]);
  }

  void set_row(int row, RowBounds bounds) override {
    clp_.setRowBounds(row, bounds.lower, bound_for_clp(bounds.upper));
  }

  void set_upper(int column, double upper) override {
    clp_.setColumnUpper(column, bound_for_clp(upper));
  }

  Relaxed relax(base::Duration limit) override {
    if (clp_.numberColumns() == 0) return without_columns();
    clp_.setMaximumWallSeconds(seconds(limit));
    clp_.primal(1);
    Relaxed relaxed;
    if (clp_.isProvenPrimalInfeasible()) relaxed.outcome = Outcome::kInfeasible;
    if (!clp_.isProvenOptimal()) return relaxed;
    relaxed.outcome = Outcome::kOptimal;
    relaxed.objective = clp_.objectiveValue();
    relaxed.x.assign(clp_.primalColumnSolution(),
                     clp_.primalColumnSolution() + clp_.numberColumns());
    relaxed.duals.assign(clp_.dualRowSolution(), clp_.dualRowSolution() + clp_.numberRows());
    return relaxed;
  }

  Integral branch(base::Duration limit) override {
    if (clp_.numberColumns() == 0)
      return {.outcome = without_columns().outcome, .bound = 0, .x = {}};
    const auto deadline = std::chrono::steady_clock::now() + limit;
    // Where the library trips over itself it may not from another start.
    for (const char* const preprocess : {"on", "off"}) {
      const auto left =
          std::chrono::duration_cast<base::Duration>(deadline - std::chrono::steady_clock::now());
      if (left <= base::Duration{}) break;
      const auto answer = apart([&] { return branch_here(left * 9 / 10, preprocess); }, left);
      if (answer) return decoded(*answer);
    }
    return {};
  }

 private:
  /// The library cannot take a program in which there is nothing to choose.
  Relaxed without_columns() const {
    Relaxed relaxed{.outcome = Outcome::kOptimal, .objective = 0, .x = {}, .duals = {}};
    for (int row = 0; row < clp_.numberRows(); ++row)
      if (clp_.rowLower()[row] > 0 || clp_.rowUpper()[row] < 0)
        relaxed.outcome = Outcome::kInfeasible;
    relaxed.duals.assign(static_cast<std::size_t>(clp_.numberRows()), 0);
    return relaxed;
  }

  /// Cbc's outcome, its bound, and its solution if it has one.
  std::vector<double> branch_here(base::Duration limit, const char* preprocess) const {
    const CbcPointer cbc(Cbc_newModel());
    const CoinPackedMatrix& matrix = *clp_.matrix();
    Cbc_loadProblem(cbc.get(), clp_.numberColumns(), clp_.numberRows(), matrix.getVectorStarts(),
                    matrix.getIndices(), matrix.getElements(), clp_.columnLower(),
                    clp_.columnUpper(), clp_.objective(), clp_.rowLower(), clp_.rowUpper());
    for (int i = 0; i < clp_.numberColumns(); ++i) Cbc_setInteger(cbc.get(), i);
    Cbc_setLogLevel(cbc.get(), 0);
    Cbc_setParameter(cbc.get(), "preprocess", preprocess);
    Cbc_setParameter(cbc.get(), "timeMode", "elapsed");
    Cbc_setParameter(cbc.get(), "seconds", std::to_string(seconds(limit)).c_str());
    // Exactly the optimum: the default stops within 1e-10 relative, which is fine, but also allows
    // an absolute gap.
    Cbc_setParameter(cbc.get(), "allowableGap", "0");
    Cbc_setParameter(cbc.get(), "ratioGap", "0");
    Cbc_solve(cbc.get());
    return encoded(cbc.get());
  }

  std::vector<double> encoded(Cbc_Model* cbc) const {
    if (Cbc_isProvenInfeasible(cbc) != 0)
      return {static_cast<double>(Outcome::kInfeasible), -planning::kInfinite};
    const Outcome outcome = Cbc_isProvenOptimal(cbc) != 0 ? Outcome::kOptimal : Outcome::kStopped;
    std::vector<double> answer = {static_cast<double>(outcome), Cbc_getBestPossibleObjValue(cbc)};
    const double* const found = Cbc_getColSolution(cbc);
    // Without a solution the library hands out the relaxation; the caller would refuse it.
    if (found != nullptr && Cbc_getObjValue(cbc) < planning::kInfinite)
      answer.insert(answer.end(), found, found + clp_.numberColumns());
    return answer;
  }

  static Integral decoded(const std::vector<double>& answer) {
    return {.outcome = static_cast<Outcome>(static_cast<int>(answer.at(0))),
            .bound = answer.at(1),
            .x = {answer.begin() + 2, answer.end()}};
  }

  ClpSimplex clp_;
};

}  // namespace

std::unique_ptr<planning::Solver> make_coin_solver() {
  return std::make_unique<CoinSolver>();
}

}  // namespace tessera::solver
