#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "planning/problem.h"

/// The joint model of layouts and assignment.
///
/// For every class of GPUs, how many of them get which target layout; for every demand, how many
/// of its items go to which kind of instance. Two targets of a class differ only in how many
/// instances of each wanted kind they offer, the weight they move and whether they are a change,
/// so a class needs few of them:
///   - the layout it has, unless something is booked that it lacks;
///   - the maximal layouts that contain its pinned and booked slices, of which those that another
///   beats in
///     every respect are dropped.
/// What is wanted at all is what is leased or what a demand accepts.
namespace tessera::planning {

inline constexpr std::size_t kMostProfiles = 24;  // of one model

/// One target layout of one class.
struct Column {
  Layout target = 0;
  std::array<std::uint8_t, kMostProfiles> offers{};  ///< per wanted kind of the model, in order
  std::int64_t moved = 0;                            ///< weight, in units of Model::weight_unit
  bool changed = false;
};

struct Targets {
  std::size_t first_kind = 0;  ///< of the class's model, in Model::kinds
  std::size_t kinds = 0;
  std::vector<Column> columns;  ///< the first is the layout as it is, where it may stay
};

/// Demands that are served alike and worth the same.
struct Want {
  std::vector<std::size_t> kinds;  ///< in Model::kinds, rising, never empty
  std::int64_t value = 0;          ///< of one item, in units of Model::value_unit; positive
  std::int64_t count = 0;
  std::vector<std::size_t> demands;  ///< in Problem::demands
};

/// Immutable once built. Values and weights are divided by their greatest common divisor, so that
/// the solver sees small whole numbers.
struct Model {
  std::vector<Kind> kinds;           ///< wanted, rising
  std::vector<std::int64_t> leased;  ///< per kind, what is booked included
  std::vector<Targets> targets;      ///< per class
  std::vector<Want> wants;
  std::int64_t value_unit = 1;
  std::int64_t weight_unit = 1;
};

Model build_model(const Problem& problem, const catalog::Catalog& catalog);

/// A smaller model with the same most that can be served: what a GPU can become depends on its
/// pinned slices alone, so GPUs that differ in other slices are one class. `merged` receives the
/// problem that goes with it.
Model served_model(const Problem& problem, const Model& model, const catalog::Catalog& catalog,
                   Problem& merged);

/// What a plan achieves, in the units of the model. Earlier members matter infinitely more.
struct Score {
  std::int64_t served = 0;
  std::int64_t moved = 0;
  std::int64_t changed = 0;
  friend bool operator==(const Score&, const Score&) = default;
  /// More served, then less moved, then fewer changed.
  bool better_than(const Score& other) const;
};

/// A choice: how many GPUs of each class get each column, how many items go where.
struct Choice {
  std::vector<std::vector<std::int64_t>> gpus;   ///< [class][column]
  std::vector<std::vector<std::int64_t>> items;  ///< [want][position in Want::kinds]
};

/// Checks every rule of the model in whole numbers: the answer of a solver is believed only after
/// this. False: `choice` breaks one; `score` then means nothing.
bool score_of(const Problem& problem, const Model& model, const Choice& choice, Score& score);

/// Every GPU has its first column: nothing changes, where nothing is booked. Items take what is
/// free, the most valuable first.
Choice as_it_stands(const Problem& problem, const Model& model);

}  // namespace tessera::planning
