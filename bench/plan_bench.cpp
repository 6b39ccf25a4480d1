// Planning a churned fleet of H100s: the time of a proven plan against the size of the fleet.
//
// Goal: at most 1 s for 10,000 GPUs and 2 s for 1,000,000: the work depends on how many states
// there are, not on how many GPUs.

#include <bit>
#include <stdexcept>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/random.h"
#include "planning/plan.h"
#include "solver/coin_solver.h"

namespace tessera::planning {
namespace {

class Always final : public Patience {
 public:
  base::Duration left() const override { return std::chrono::minutes(5); }
};

const catalog::Catalog& models() {
  static const catalog::Catalog built_in = catalog::Catalog::built_in();
  return built_in;
}

/// What arrivals and departures leave behind: GPUs once filled at random, two in five slices gone.
Problem churned(std::int64_t gpus) {
  constexpr std::int64_t kDrawn = 10'000;
  const ModelIndex h100 = *models().find("H100-80GB-SXM5");
  const catalog::GpuModel& model = models().model(h100);
  std::vector<std::size_t> plain;
  for (std::size_t p = 0; p < model.profiles.size(); ++p)
    if (model.profiles[p].plain()) plain.push_back(p);
  std::vector<Layout> full;
  for (const Layout layout : model.layouts.enumerate(plain))
    if (std::popcount(layout) >= 3) full.push_back(layout);
  base::SeededRandom random(7);
  std::vector<GpuState> states;
  std::vector<std::int64_t> counts;
  const std::int64_t drawn = std::min(gpus, kDrawn);
  for (std::int64_t i = 0; i < drawn; ++i) {
    GpuState state{.model = h100};
    for (Layout rest = full[random.below(full.size())]; rest != 0; rest &= rest - 1)
      if (random.chance(3, 5)) state.layout |= rest & -rest;
    state.leased = state.layout;
    state.weights.assign(static_cast<std::size_t>(std::popcount(state.leased)), kUnit);
    states.push_back(state);
    counts.push_back(gpus / drawn);
  }
  Problem problem;
  problem.classes = merge(states, counts);
  for (const auto& [name, share] : {std::pair{"3g.40gb", 4}, {"2g.20gb", 3}, {"7g.80gb", 10}}) {
    const auto profile = static_cast<std::uint16_t>(*model.find_profile(name));
    problem.demands.push_back({.kinds = {{h100, profile}}, .count = gpus / share});
  }
  return problem;
}

void plan(benchmark::State& state) {
  const Problem problem = churned(state.range(0));
  for (auto _ : state) {
    const Plan made = make_plan(problem, models(), solver::make_coin_solver, Always());
    if (!made.proven) throw std::runtime_error("not proven");
    benchmark::DoNotOptimize(made.served);
  }
  state.counters["classes"] = static_cast<double>(problem.classes.size());
}
BENCHMARK(plan)->RangeMultiplier(10)->Range(1'000, 1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tessera::planning
