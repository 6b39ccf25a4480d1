#include "planning/optimise.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "planning/program.h"

namespace tessera::planning {
namespace {

/// Patience that keeps a part of what is left for later.
class Part final : public Patience {
 public:
  Part(const Patience& whole, int parts)
      : whole_(whole), reserve_(whole.left() / parts * (parts - 1)) {}
  base::Duration left() const override {
    return std::max(whole_.left() - reserve_, base::Duration{});
  }

 private:
  const Patience& whole_;
  base::Duration reserve_;
};

constexpr std::int64_t kAnyCost = std::numeric_limits<std::int64_t>::max() / 4;

std::int64_t value_of(const Score& score, Level level) {
  if (level == Level::kServed) return -score.served;
  return level == Level::kMoved ? score.moved : score.changed;
}

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
    for (const Want& want : model_.wants) best_.bound.served += want.value * want.count;
    offer(as_it_stands(problem, model));
    // Columns are taken in where prices call for them, and there are no prices without a choice.
    if (!found()) program_.take_all();
  }

  /// The most that can be served, and a proof of it; the levels below do not matter.
  std::int64_t most_served() {
    if (best_.bound.served == 0) return 0;
    settle(Level::kServed);
    return best_.bound.served;
  }

  /// `most_served`: proven elsewhere.
  Optimum run(std::int64_t most_served) {
    best_.bound.served = std::min(best_.bound.served, most_served);
    if (!aim_at_bounds() && reach_served()) {
      if (served_prices_) program_.limit(Level::kServed, *served_prices_, -best_.score.served);
      if (settle(Level::kMoved)) settle(Level::kChanged);
    }
    best_.proven = found() && best_.score == best_.bound;
    return std::move(best_);
  }

 private:
  bool found() const { return !best_.choice.gpus.empty(); }

  void offer(Choice choice) {
    Score score;
    if (!score_of(problem_, model_, choice, score)) return;
    if (found() && !score.better_than(best_.score)) return;
    best_.choice = std::move(choice);
    best_.score = score;
  }

  void offer(const std::optional<Choice>& choice) {
    if (choice) offer(*choice);
  }

  /// Relaxes the three levels, each with what the one before could reach at best, and looks for
  /// one whole-numbered choice that meets all bounds. That is nearly always possible; then it is
  /// the optimum.
  bool aim_at_bounds() {
    const auto served = program_.relax(Level::kServed, patience_);
    if (!served) return false;
    best_.bound.served = std::min(best_.bound.served, -served->bound);
    served_prices_ = served->prices;
    offer(served->choice);
    program_.settle_served(std::min(-served->reached, best_.bound.served));
    const auto moved = program_.relax(Level::kMoved, patience_);
    if (!moved) return false;
    offer(moved->choice);
    program_.settle_moved(std::max<std::int64_t>(moved->reached, 0));
    const auto changed = program_.relax(Level::kChanged, patience_);
    if (!changed) return false;
    offer(changed->choice);
    const Score aim{best_.bound.served, std::max<std::int64_t>(moved->bound, 0),
                    std::max<std::int64_t>(changed->bound, 0)};
    if (!found() || best_.score != aim)
      offer(program_.branch(Level::kChanged, Part(patience_, 2)).choice);
    // Bounds of later levels hold for what earlier levels have really reached only.
    if (best_.score.served != aim.served) return false;
    best_.bound.moved = aim.moved;
    if (best_.score.moved != aim.moved) return false;
    best_.bound.changed = aim.changed;
    return found() && best_.score == aim;
  }

  /// Looks for a choice that serves the most. True: best_ is one.
  bool reach_served() {
    if (met(Level::kServed)) return true;
    program_.settle_moved_freely();
    offer(program_.branch(Level::kMoved, Part(patience_, 2)).choice);
    if (met(Level::kServed)) return true;
    program_.settle_served(0);
    if (!settle(Level::kServed)) return false;
    program_.settle_served(best_.score.served);
    return true;
  }

  /// Branches on one level. True: its optimum is known, and best_ has it. What no choice can have
  /// that is as good is left out before each attempt, and for the levels below.
  bool settle(Level level) {
    if (level == Level::kMoved) program_.settle_moved_freely();
    if (level == Level::kChanged) program_.settle_moved(best_.score.moved);
    const auto relaxed = program_.relax(level, patience_);
    if (!relaxed) return false;
    raise_bound(level, relaxed->bound);
    offer(relaxed->choice);
    if (!met(level)) {
      limit(level, relaxed->prices);
      offer(program_.branch(level, Part(patience_, 2)).choice);
    }
    if (!met(level)) {
      limit(level, relaxed->prices);
      if (const auto again = program_.relax(level, patience_)) raise_bound(level, again->bound);
      close_in(level, relaxed->prices);
    }
    if (met(level)) limit(level, relaxed->prices);
    return met(level);
  }

  /// Looks for a choice as good as the bound, then for one a little worse, and so on: the less may
  /// be lost, the more prices leave out. Where there is none, the bound is better than was known;
  /// where that takes too long, everything that is as good as what was found is looked at.
  void close_in(Level level, const Prices& prices) {
    std::int64_t loss = 0;
    while (!met(level)) {
      const std::int64_t known = found() ? value_of(best_.score, level) : kAnyCost;
      const std::int64_t aim = std::min(value_of(best_.bound, level) + loss, known);
      const bool last = aim == known;
      const auto whole = program_.branch_within(level, prices, aim, Part(patience_, last ? 1 : 4));
      offer(whole.choice);
      if (!found()) return;
      // What is not among the targets looked at costs more than the aim.
      const std::int64_t least = whole.outcome == Outcome::kInfeasible ? kAnyCost : whole.bound;
      raise_bound(level, std::min({least, aim + 1, value_of(best_.score, level)}));
      if (last) return;
      loss = whole.outcome == Outcome::kStopped ? kAnyCost : 2 * loss + 1;
    }
  }

  /// Of this level only what is as good as the best choice so far is of interest.
  void limit(Level level, const Prices& prices) {
    if (found()) program_.limit(level, prices, value_of(best_.score, level));
  }

  void raise_bound(Level level, std::int64_t cost) {
    Score& bound = best_.bound;
    if (level == Level::kServed) bound.served = std::min(bound.served, -cost);
    if (level == Level::kMoved) bound.moved = std::max(bound.moved, cost);
    if (level == Level::kChanged) bound.changed = std::max(bound.changed, cost);
  }

  bool met(Level level) const {
    return found() && value_of(best_.score, level) == value_of(best_.bound, level);
  }

  const Problem& problem_;
  const Model& model_;
  const Patience& patience_;
  std::unique_ptr<Solver> solver_;
  Program program_;
  std::optional<Prices> served_prices_;
  Optimum best_;
};

}  // namespace

Optimum optimise(const Problem& problem, const Model& model, const catalog::Catalog& catalog,
                 const SolverFactory& solver, const Patience& patience) {
  Problem merged;
  const Model small = served_model(problem, model, catalog, merged);
  const std::int64_t most = Search(merged, small, solver, Part(patience, 2)).most_served();
  return Search(problem, model, solver, patience).run(most);
}

}  // namespace tessera::planning
