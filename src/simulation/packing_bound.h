#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "planning/solver.h"
#include "simulation/trace.h"

namespace tessera::simulation {

/// What a bound takes into account of the nodes.
enum class Scope : std::uint8_t {
  kNodes,      ///< CPU, memory and model by class of nodes, and how many gangs a node holds
  kGpusAlone,  ///< that a part comes from one GPU, and nothing else
};

struct PackingBound {
  double milli_gpus = 0;  ///< no packing holds more
  double reached = 0;     ///< what the linear program comes to; the two differ by rounding alone
};

/// The most that any packing of some of these pods on these nodes can allocate, in thousandths of a
/// GPU: whoever places them, in whatever order, refusing whichever pods it likes and moving them as
/// often as it likes.
///
/// The linear program, over classes c of equal nodes and types t of equal pods:
///
///   most  sum x(t,c) * GPUs of t
///   with  sum over c of x(t,c) <= number of pods of type t; t only where its model is allowed
///         CPU and memory of the pods on c <= those of all its nodes together
///         pods of k > 1 GPUs on c <= nodes of c * floor(GPUs of a node / k)
///         for every size of share s: shares of size s on c <= sum over p of a(p,s) * y(p,c)
///         sum over p of y(p,c) + whole GPUs asked for on c <= GPUs of c
///
/// where a pattern p says how many shares of each size are together on one GPU. Every packing is a
/// solution: count its pods by (t,c) and its GPUs by pattern. So the program's optimum is a bound.
/// Patterns are taken in as their prices call for them, by a knapsack over the thousandths of a
/// GPU.
///
/// The figure given is not the solver's. For any prices >= 0 of CPU, memory, GPUs, gangs and shares
/// of each size,
///
///   sum over t of number(t) * max(0, max over c of (GPUs of t - price of t on c))
///     + sum over c of the price of all that c has,
///
/// where a GPU is priced at least as high as its dearest pattern, is a bound by weak duality: each
/// pod gains at most its first term over what it pays, and what is paid at most buys all there is.
/// It is evaluated at the solver's prices, and rounding is covered by adding a billionth.
PackingBound packing_bound(const std::vector<TraceNode>& nodes,
                           std::span<const TracePod* const> pods, Scope scope,
                           const planning::SolverFactory& solver);

}  // namespace tessera::simulation
