#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "planning/certificate.h"
#include "planning/model.h"
#include "planning/solver.h"

/// The model as a linear program that grows: it starts with the layouts as they are and takes in
/// target layouts when prices say that they could help.
namespace tessera::planning {

class Program {
 public:
  Program(const Problem& problem, const Model& model, Solver& solver);

  /// What the relaxation of one level came to.
  struct Relaxation {
    std::int64_t bound = 0;    ///< proven: no choice costs less
    std::int64_t reached = 0;  ///< least whole cost that the relaxation allows
    Prices prices;
    std::optional<Choice> choice;  ///< where the solution is whole anyway
  };

  /// None when patience ends first.
  std::optional<Relaxation> relax(Level level, const Patience& patience);
  /// Demands from here on that so much is served, and that no more is moved.
  void settle_served(std::int64_t at_least);
  void settle_moved(std::int64_t at_most);
  void settle_moved_freely();

  struct Branched {
    Outcome outcome = Outcome::kStopped;
    std::int64_t bound = 0;  ///< among the columns taken in so far
    std::optional<Choice> choice;
  };
  Branched branch(Level level, const Patience& patience);

  /// From here on only choices are of interest that cost at most so much at this level: whatever
  /// the prices prove to be in none of them is left out.
  void limit(Level level, const Prices& prices, std::int64_t at_most);
  /// Branches among all targets that could be part of a choice that costs at most so much, and
  /// keeps the limits as they are: there may be no such choice. kOptimal or kInfeasible: if there
  /// is one, this is the best.
  Branched branch_within(Level level, const Prices& prices, std::int64_t at_most,
                         const Patience& patience);
  /// Takes in every target that is not left out.
  void take_all();

 private:
  struct Taken {
    std::size_t of_class = 0;
    std::size_t column = 0;
  };

  int class_row(std::size_t index) const { return static_cast<int>(2 + index); }
  int kind_row(std::size_t kind) const;
  int want_row(std::size_t want) const;
  void add_rows();
  void add_items();
  void take(std::size_t of_class, std::size_t column, std::vector<NewColumn>& batch);
  void flush(std::vector<NewColumn>& batch);
  void cost_by(Level level);
  Prices prices_of(const Relaxed& relaxed) const;
  void set_uppers();
  double upper_of(std::size_t of_class, std::size_t column) const;
  double priced(const Targets& targets, const Column& column, const Prices& prices) const;
  bool take_helpful(const Relaxed& relaxed, const Prices& prices);
  std::optional<Choice> whole(std::span<const double> x) const;

  const Problem& problem_;
  const Model& model_;
  Solver& solver_;
  Level level_ = Level::kServed;
  Settled settled_;
  Limits limits_;
  std::vector<std::pair<std::size_t, std::size_t>> items_;  ///< (want, position); columns first
  std::vector<Taken> columns_;                              ///< after the items
  std::vector<std::vector<bool>> is_taken_;
};

}  // namespace tessera::planning
