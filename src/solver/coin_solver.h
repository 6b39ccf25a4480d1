#pragma once

#include <memory>

#include "planning/solver.h"

namespace tessera::solver {

/// The Solver port over COIN-OR: Clp for relaxations, Cbc for branching. Prints nothing and reads
/// no files or environment.
///
/// Debian builds the library with its assertions, and some of them fail on sound programs. Clp is
/// used in a way that keeps clear of them. Cbc, which also prints, keeps settings in global
/// variables and overruns its time limit, branches in a process of its own (apart.h).
std::unique_ptr<planning::Solver> make_coin_solver();

}  // namespace tessera::solver
