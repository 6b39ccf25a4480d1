// Plans of small fleets against a search through every combination of legal layouts, and the
// replay of their steps, GPU by GPU.

#include <algorithm>
#include <bit>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "base/random.h"
#include "planning/plan.h"
#include "solver/coin_solver.h"
#include "solver/unhurried.h"

namespace tessera::planning {
namespace {

using catalog::Catalog;
using catalog::GpuModel;

const Catalog& catalog() {
  static const Catalog built_in = Catalog::built_in();
  return built_in;
}

std::vector<std::size_t> plain_profiles(const GpuModel& model) {
  std::vector<std::size_t> plain;
  for (std::size_t p = 0; p < model.profiles.size(); ++p)
    if (model.profiles[p].plain()) plain.push_back(p);
  return plain;
}

/// One GPU in a random state: some of a random layout leased, some of that pinned.
GpuState random_state(ModelIndex model, base::Random& random) {
  const auto& layouts = catalog().model(model).layouts;
  const auto all = layouts.enumerate(plain_profiles(catalog().model(model)));
  GpuState state{.model = model, .layout = all[random.below(all.size())]};
  for (Layout rest = state.layout; rest != 0; rest &= rest - 1) {
    const Layout one = rest & -rest;
    if (random.chance(1, 3)) continue;
    state.leased |= one;
    if (random.chance(1, 5))
      state.pinned |= one;
    else
      state.weights.push_back(static_cast<std::int64_t>(1 + random.below(3)) * kUnit / 2);
  }
  return state;
}

Problem random_problem(base::Random& random) {
  const ModelIndex a30 = *catalog().find("A30-24GB");
  const ModelIndex h100 = *catalog().find("H100-80GB-SXM5");
  std::vector<GpuState> states;
  if (random.chance(1, 2)) states.push_back(random_state(h100, random));
  for (std::uint64_t i = random.below(3) + (states.empty() ? 1 : 0); i > 0; --i)
    states.push_back(random_state(a30, random));
  Problem problem;
  problem.classes = merge(states, std::vector<std::int64_t>(states.size(), 1));
  problem.spare = static_cast<std::int64_t>(random.below(2));
  for (std::uint64_t i = 1 + random.below(3); i > 0; --i) {
    Demand demand;
    const base::MiB memory(static_cast<std::int64_t>(4000 + random.below(40000)));
    const bool exact = random.chance(1, 2);
    for (const ModelIndex model : {a30, h100})
      for (const std::size_t p : plain_profiles(catalog().model(model)))
        if (*catalog().model(model).profiles[p].memory >= memory &&
            (!exact || demand.kinds.empty()))
          demand.kinds.push_back({model, static_cast<std::uint16_t>(p)});
    demand.value = static_cast<std::int64_t>(1 + random.below(4)) * kUnit;
    demand.count = static_cast<std::int64_t>(random.below(4));
    problem.demands.push_back(demand);
  }
  return problem;
}

/// Tries everything.
class BruteForce {
 public:
  explicit BruteForce(const Problem& problem) : problem_(problem) {
    for (const GpuClass& of : problem.classes)
      for (std::int64_t i = 0; i < of.count; ++i) gpus_.push_back(&of);
    for (const GpuClass* of : gpus_) count(of->state.model, of->state.leased, -1);
  }

  Score best() {
    try_gpu(0, 0, 0);
    return best_;
  }

 private:
  void count(ModelIndex model, Layout layout, std::int64_t sign) {
    for (; layout != 0; layout &= layout - 1) {
      const auto instance = static_cast<InstanceIndex>(std::countr_zero(layout));
      room_[{model, catalog().model(model).layouts.instance(instance).profile}] += sign;
    }
  }

  void try_gpu(std::size_t index, std::int64_t moved, std::int64_t changed) {
    if (index == gpus_.size()) {
      if (std::ranges::any_of(room_, [](const auto& one) { return one.second < 0; })) return;
      const Score score{most_served(), moved, changed};
      if (!found_ || score.better_than(best_)) best_ = score;
      found_ = true;
      return;
    }
    const GpuClass& of = *gpus_[index];
    const GpuModel& model = catalog().model(of.state.model);
    for (const Layout target : model.layouts.enumerate(plain_profiles(model))) {
      if ((target & of.state.pinned) != of.state.pinned) continue;
      count(of.state.model, target, 1);
      try_gpu(index + 1, moved + of.moved_by(target), changed + (target != of.state.layout));
      count(of.state.model, target, -1);
    }
  }

  std::int64_t most_served() {
    const auto known = served_.find(room_);
    if (known != served_.end()) return known->second;
    auto room = room_;
    return served_[room_] = serve(room, 0, 0);
  }

  std::int64_t serve(std::map<Kind, std::int64_t>& room, std::size_t demand, std::int64_t item) {
    if (demand == problem_.demands.size()) return 0;
    const Demand& of = problem_.demands[demand];
    if (item == of.count) return serve(room, demand + 1, 0);
    std::int64_t most = serve(room, demand + 1, 0);
    for (const Kind& kind : of.kinds) {
      const auto free = room.find(kind);
      if (free == room.end() || free->second <= 0) continue;
      --free->second;
      most = std::max(most, of.value + serve(room, demand, item + 1));
      ++free->second;
    }
    return most;
  }

  const Problem& problem_;
  std::vector<const GpuClass*> gpus_;
  std::map<Kind, std::int64_t> room_;
  std::map<std::map<Kind, std::int64_t>, std::int64_t> served_;
  Score best_;
  bool found_ = false;
};

/// Carries the steps out on single GPUs, and refuses what hardware or a tenant would.
class Replay {
 public:
  Replay(const Problem& problem, const Plan& plan) : plan_(plan) {
    for (std::size_t c = 0; c < problem.classes.size(); ++c)
      for (std::int64_t i = 0; i < problem.classes[c].count; ++i) {
        const GpuState& state = problem.classes[c].state;
        gpus_[{c, i}] = {state.model, state.layout, state.leased};
      }
    for (std::size_t s = 0; s < plan.change.spare_models.size(); ++s)
      for (std::int64_t i = 0; i < problem.spare; ++i)
        gpus_[{problem.classes.size() + s, i}] = {plan.change.spare_models[s], 0, 0};
  }

  void run() {
    for (const Step& step : plan_.change.steps)
      for (std::int64_t i = 0; i < step.gpus.count; ++i) carry_out(step, i);
    EXPECT_EQ(stopped_, 0);
    for (const Assignment& one : plan_.layouts)
      for (std::int64_t i = 0; i < one.gpus.count; ++i)
        EXPECT_EQ((gpus_[{one.gpus.of_class, one.gpus.first + i}].now), one.target);
  }

 private:
  struct Gpu {
    ModelIndex model;
    Layout now = 0;
    Layout leased = 0;
  };

  void carry_out(const Step& step, std::int64_t i) {
    Gpu& gpu = gpus_.at({step.gpus.of_class, step.gpus.first + i});
    const Layout these = step.instances;
    if (step.kind == StepKind::kCreate) {
      EXPECT_EQ(gpu.now & these, 0U);
      gpu.now |= these;
      EXPECT_TRUE(catalog().model(gpu.model).layouts.legal(gpu.now));
    } else if (step.kind == StepKind::kDestroy) {
      EXPECT_EQ(gpu.now & these, these);
      EXPECT_EQ(gpu.leased & these, 0U) << "destroys what is held";
      gpu.now &= ~these;
    } else if (step.kind == StepKind::kMove) {
      Gpu& goal = gpus_.at({step.to.of_class, step.to.first + i});
      const Layout there = catalog::bit(step.to_instance);
      EXPECT_EQ(gpu.leased & these, these);
      EXPECT_EQ(goal.now & ~goal.leased & there, there) << "moves onto what is not free";
      gpu.leased &= ~these;
      goal.leased |= there;
    } else if (step.kind == StepKind::kStop) {
      EXPECT_EQ(gpu.leased & these, these);
      gpu.leased &= ~these;
      ++stopped_;
    } else if (step.kind == StepKind::kStart) {
      EXPECT_EQ(gpu.now & ~gpu.leased & these, these);
      gpu.leased |= these;
      --stopped_;
    }
  }

  const Plan& plan_;
  std::map<std::pair<std::size_t, std::int64_t>, Gpu> gpus_;
  std::int64_t stopped_ = 0;
};

TEST(PlanProperty, ThePlanIsTheBestOfAllAndItsStepsAreLegal) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    base::SeededRandom random(seed);
    const Problem problem = random_problem(random);
    const Plan plan = make_plan(problem, catalog(), solver::make_coin_solver, Unhurried());
    const Score best = BruteForce(problem).best();
    EXPECT_EQ(plan.served, best.served);
    EXPECT_EQ(plan.moved, best.moved);
    EXPECT_EQ(plan.changed, best.changed);
    EXPECT_TRUE(plan.proven);
    Replay(problem, plan).run();
  }
}

TEST(Plan, TheSameInputGivesTheSamePlan) {
  base::SeededRandom random(7);
  const Problem problem = random_problem(random);
  const Plan one = make_plan(problem, catalog(), solver::make_coin_solver, Unhurried());
  const Plan other = make_plan(problem, catalog(), solver::make_coin_solver, Unhurried());
  ASSERT_EQ(one.layouts.size(), other.layouts.size());
  for (std::size_t i = 0; i < one.layouts.size(); ++i)
    EXPECT_EQ(one.layouts[i].target, other.layouts[i].target);
  EXPECT_EQ(one.change.steps.size(), other.change.steps.size());
}

TEST(Plan, WithoutPatienceNothingChangesAndNothingIsClaimed) {
  class Never final : public Patience {
   public:
    base::Duration left() const override { return {}; }
  };
  const ModelIndex a30 = *catalog().find("A30-24GB");
  Problem problem;
  problem.classes = merge(std::vector<GpuState>{{.model = a30}}, std::vector<std::int64_t>{4});
  problem.demands = {{.kinds = {{a30, 0}}, .count = 3}};
  const Plan plan = make_plan(problem, catalog(), solver::make_coin_solver, Never());
  EXPECT_EQ(plan.served, 0);
  EXPECT_EQ(plan.served_bound, 3 * kUnit);
  EXPECT_EQ(plan.changed, 0);
  EXPECT_FALSE(plan.proven);
}

TEST(Steps, ACycleNeedsASpareOrARestart) {
  // Two half-full A30s: one lease joins the other, and its GPU is empty.
  const ModelIndex a30 = *catalog().find("A30-24GB");
  const GpuModel& model = catalog().model(a30);
  const Layout left = catalog::bit(*model.find_instance("2g.12gb", 0));
  const Layout right = catalog::bit(*model.find_instance("2g.12gb", 2));
  Problem problem;
  problem.classes =
      merge(std::vector<GpuState>{{a30, left, left, 0, {kUnit}}}, std::vector<std::int64_t>{2});
  const std::vector<Assignment> targets = {{{0, 0, 1}, left | right}, {{0, 1, 1}, 0}};
  const Change change = steps_of(problem, catalog(), targets);
  EXPECT_EQ(change.forced_restarts, 0);
  EXPECT_EQ(change.peak_extra, 0);

  // Two full GPUs that swap their layouts: nothing can be made before something goes.
  problem.classes =
      merge(std::vector<GpuState>{{a30, left | right, left | right, 0, {kUnit, kUnit}}},
            std::vector<std::int64_t>{1});
  Layout quarters = 0;
  for (int start = 0; start < 4; ++start)
    quarters |= catalog::bit(*model.find_instance("1g.6gb", start));
  problem.classes.push_back({.state = {a30, quarters, quarters, 0, {1, 1, 1, 1}}, .count = 1});
  const std::vector<Assignment> swap = {{{0, 0, 1}, quarters}, {{1, 0, 1}, left | right}};
  EXPECT_GT(steps_of(problem, catalog(), swap).forced_restarts, 0);
  problem.spare = 1;
  const Change parked = steps_of(problem, catalog(), swap);
  EXPECT_EQ(parked.forced_restarts, 0);
  EXPECT_GT(parked.peak_extra, 0);
}

}  // namespace
}  // namespace tessera::planning
