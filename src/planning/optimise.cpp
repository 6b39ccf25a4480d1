#include "planning/optimise.h"

#include <algorithm>

#include "planning/program.h"

namespace tessera::planning {
namespace {

/// One search: the best choice so far and what is known about better ones.
class Search {
 public:
  Search(const Problem& problem, const Model& model, const SolverFactory& factory,
         const Patience& patience)
      : problem_(problem),
        model_(model),
        patience_(patience),
        solver_(factory()),
        program_(problem, model, *solver_) {
    best_.bound = {most_served(), 0, 0};
    offer(as_it_stands(problem, model));
  }

  Optimum run() {
    if (!aim_at_bounds()) settle_one_by_one();
    best_.proven = best_.score == best_.bound;
    return std::move(best_);
  }

 private:
  std::int64_t most_served() const {
    std::int64_t most = 0;
    for (const Want& want : model_.wants) most += want.value * want.count;
    return most;
  }

  void offer(Choice choice) {
    Score score;
    if (!score_of(problem_, model_, choice, score)) return;
    if (!best_.choice.gpus.empty() && !score.better_than(best_.score)) return;
    best_.choice = std::move(choice);
    best_.score = score;
  }

  /// Relaxes the three levels, each with what the one before could reach at best, and looks for
  /// one whole-numbered choice that meets all bounds. That is nearly always possible; then it is
  /// the optimum.
  bool aim_at_bounds() {
    const auto served = program_.relax(Level::kServed, patience_);
    if (!served) return false;
    best_.bound.served = std::min(best_.bound.served, -served->bound);
    if (served->choice) offer(*served->choice);
    program_.settle_served(std::min(-served->reached, best_.bound.served));
    const auto moved = program_.relax(Level::kMoved, patience_);
    if (!moved) return false;
    if (moved->choice) offer(*moved->choice);
    program_.settle_moved(std::max<std::int64_t>(moved->reached, 0));
    const auto changed = program_.relax(Level::kChanged, patience_);
    if (!changed) return false;
    const Score aim{best_.bound.served, std::max<std::int64_t>(moved->bound, 0),
                    std::max<std::int64_t>(changed->bound, 0)};
    if (changed->choice) offer(*changed->choice);
    if (best_.score != aim) {
      const auto whole = program_.branch(Level::kChanged, patience_);
      if (whole.choice) offer(*whole.choice);
    }
    // Bounds of later levels hold for what earlier levels have really reached only.
    if (best_.score.served != aim.served) return false;
    best_.bound.moved = aim.moved;
    if (best_.score.moved != aim.moved) return false;
    best_.bound.changed = aim.changed;
    return best_.score == aim;
  }

  /// Level by level with every target layout, branching where the relaxation is not whole.
  void settle_one_by_one() {
    program_.unsettle();
    program_.take_all();
    for (const Level level : {Level::kServed, Level::kMoved, Level::kChanged}) {
      if (!settle(level)) return;
    }
  }

  /// True: the level's optimum is known, and best_ has it.
  bool settle(Level level) {
    const auto relaxed = program_.relax(level, patience_);
    if (!relaxed) return false;
    raise_bound(level, relaxed->bound);
    if (relaxed->choice) offer(*relaxed->choice);
    if (!met(level)) {
      const auto whole = program_.branch(level, patience_);
      if (whole.choice) offer(*whole.choice);
      // With all targets taken in, what branching found no better than is the optimum.
      if (whole.outcome == Outcome::kOptimal && whole.choice) raise_bound(level, whole.bound);
    }
    if (!met(level)) return false;
    if (level == Level::kServed) program_.settle_served(best_.score.served);
    if (level == Level::kMoved) program_.settle_moved(best_.score.moved);
    return true;
  }

  void raise_bound(Level level, std::int64_t cost) {
    Score& bound = best_.bound;
    if (level == Level::kServed) bound.served = std::min(bound.served, -cost);
    if (level == Level::kMoved) bound.moved = std::max(bound.moved, cost);
    if (level == Level::kChanged) bound.changed = std::max(bound.changed, cost);
  }

  bool met(Level level) const {
    if (level == Level::kServed) return best_.score.served == best_.bound.served;
    if (level == Level::kMoved) return best_.score.moved == best_.bound.moved;
    return best_.score.changed == best_.bound.changed;
  }

  const Problem& problem_;
  const Model& model_;
  const Patience& patience_;
  std::unique_ptr<Solver> solver_;
  Program program_;
  Optimum best_;
};

}  // namespace

Optimum optimise(const Problem& problem, const Model& model, const SolverFactory& solver,
                 const Patience& patience) {
  return Search(problem, model, solver, patience).run();
}

}  // namespace tessera::planning
