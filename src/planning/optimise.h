#pragma once

#include <cstdint>

#include "planning/certificate.h"
#include "planning/model.h"
#include "planning/solver.h"

/// The best choice, level by level: most value served, then least weight moved, then fewest GPUs
/// changed.
namespace tessera::planning {

/// A choice with its proof. `proven`: each of the three figures equals its bound, so no plan is
/// better; otherwise the bounds say how far from it this one can be at most.
struct Optimum {
  Choice choice;  ///< empty where something is booked and no choice was found
  Score score;
  Score bound;  ///< at most this served; among plans that serve as much, at least this moved; …
  bool proven = false;
};

/// What can be served at most is settled on the small served_model(). Then the levels are relaxed
/// one after the other with columns generated as needed, and one whole-numbered solution is asked
/// for that meets all bounds; only where there is none is each level branched on its own.
/// When patience ends it gives the best choice found so far, at worst that nothing changes.
Optimum optimise(const Problem& problem, const Model& model, const catalog::Catalog& catalog,
                 const SolverFactory& solver, const Patience& patience);

}  // namespace tessera::planning
