#pragma once

#include <memory>

#include "planning/solver.h"

namespace tessera::solver {

/// The Solver port over COIN-OR: Clp for relaxations, Cbc for branching. Prints nothing and reads
/// no files or environment. Cbc keeps some settings of its own in global variables, so branch() of
/// different solvers must not run at the same time; a process-wide lock sees to that.
std::unique_ptr<planning::Solver> make_coin_solver();

}  // namespace tessera::solver
