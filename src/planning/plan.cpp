#include "planning/plan.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace tessera::planning {
namespace {

/// New instances that nobody needs are left out, so that their room stays free for any shape.
class Layouts {
 public:
  Layouts(const Problem& problem, const catalog::Catalog& catalog, const Model& model,
          const Choice& choice)
      : problem_(problem), catalog_(catalog), model_(model), surplus_(model.kinds.size(), 0) {
    for (std::size_t k = 0; k < surplus_.size(); ++k) surplus_[k] = -model.leased[k];
    for (std::size_t w = 0; w < model.wants.size(); ++w)
      for (std::size_t i = 0; i < model.wants[w].kinds.size(); ++i)
        surplus_[model.wants[w].kinds[i]] -= choice.items[w][i];
    for (std::size_t c = 0; c < model.targets.size(); ++c) add_class(c, choice.gpus[c]);
  }

  std::vector<Assignment> trimmed() {
    for (std::size_t i = 0; i < made_.size(); ++i) trim(i);
    std::ranges::sort(made_, {}, &Assignment::gpus);
    return std::move(made_);
  }

 private:
  void add_class(std::size_t c, const std::vector<std::int64_t>& gpus) {
    const Targets& targets = model_.targets[c];
    std::int64_t first = 0;
    for (std::size_t i = 0; i < gpus.size(); ++i) {
      if (gpus[i] == 0) continue;
      made_.push_back({{c, first, gpus[i]}, targets.columns[i].target});
      first += gpus[i];
      for (std::size_t k = 0; k < targets.kinds; ++k)
        surplus_[targets.first_kind + k] += gpus[i] * targets.columns[i].offers[k];
    }
  }

  /// Takes surplus instances out of one assignment; where there is surplus for a part of its GPUs
  /// only, the rest becomes an assignment of its own, to be looked at later.
  void trim(std::size_t index) {
    const GpuState& state = problem_.classes[made_[index].gpus.of_class].state;
    const auto& layouts = catalog_.model(state.model).layouts;
    const Layout needed = state.layout | state.booked;
    for (Layout rest = made_[index].target & ~needed; rest != 0; rest &= rest - 1) {
      const auto instance = static_cast<InstanceIndex>(std::countr_zero(rest));
      const auto kind = std::ranges::lower_bound(
          model_.kinds, Kind{state.model, layouts.instance(instance).profile});
      std::int64_t& surplus = surplus_[static_cast<std::size_t>(kind - model_.kinds.begin())];
      if (surplus == 0) continue;
      Assignment& here = made_[index];
      if (surplus < here.gpus.count) {
        Assignment untrimmed = here;
        untrimmed.gpus.first += surplus;
        untrimmed.gpus.count -= surplus;
        here.gpus.count = surplus;
        made_.push_back(untrimmed);
      }
      made_[index].target &= ~catalog::bit(instance);
      surplus -= made_[index].gpus.count;
    }
  }

  const Problem& problem_;
  const catalog::Catalog& catalog_;
  const Model& model_;
  std::vector<std::int64_t> surplus_;  ///< per kind: instances that nobody needs
  std::vector<Assignment> made_;
};

std::vector<Service> services_of(const Problem& problem, const Model& model, const Choice& choice) {
  std::vector<Service> services;
  for (std::size_t w = 0; w < model.wants.size(); ++w) {
    const Want& want = model.wants[w];
    std::vector<std::int64_t> items = choice.items[w];
    std::size_t position = 0;
    for (const std::size_t demand : want.demands) {
      std::int64_t left = problem.demands[demand].count;
      while (left > 0 && position < items.size()) {
        const std::int64_t here = std::min(left, items[position]);
        if (here > 0) services.push_back({demand, model.kinds[want.kinds[position]], here});
        items[position] -= here;
        left -= here;
        if (items[position] == 0) ++position;
      }
    }
  }
  std::ranges::stable_sort(services, {}, &Service::demand);
  return services;
}

}  // namespace

Plan make_plan(const Problem& problem, const catalog::Catalog& catalog, const SolverFactory& solver,
               const Patience& patience) {
  const Model model = build_model(problem, catalog);
  const Optimum best = optimise(problem, model, catalog, solver, patience);
  Plan plan;
  plan.feasible = !best.choice.gpus.empty();
  if (!plan.feasible) return plan;
  plan.served = best.score.served * model.value_unit;
  plan.served_bound = best.bound.served * model.value_unit;
  plan.moved = best.score.moved * model.weight_unit;
  plan.moved_bound = best.bound.moved * model.weight_unit;
  plan.changed_bound = best.bound.changed;
  plan.proven = best.proven;
  plan.layouts = Layouts(problem, catalog, model, best.choice).trimmed();
  plan.services = services_of(problem, model, best.choice);
  // Counted anew: leaving out what nobody needs may have given a layout back as it was.
  for (const Assignment& one : plan.layouts)
    if (one.target != problem.classes[one.gpus.of_class].state.layout)
      plan.changed += one.gpus.count;
  plan.change = steps_of(problem, catalog, plan.layouts);
  return plan;
}

}  // namespace tessera::planning
