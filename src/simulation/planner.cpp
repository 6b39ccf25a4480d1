#include "simulation/planner.h"

#include <algorithm>
#include <bit>

#include "solver/coin_solver.h"

namespace tessera::simulation {
namespace {

using tenancy::Actor;
using tenancy::Role;

const Actor kPlanner{"planner", Role::kOperator, {}};

/// The solver always comes to its end: with a limit the answer would depend on the machine.
class Endless final : public planning::Patience {
 public:
  Duration left() const override { return std::chrono::hours(1); }
};

}  // namespace

Planner::Planner(Agenda& agenda, ControlPlane& control, const FleetPlan& plan, base::Random& random,
                 FaultCounts& faults)
    : agenda_(agenda), control_(control), plan_(plan), random_(random), faults_(faults) {}

void Planner::start() {
  agenda_.after(seconds(120 + random_.below(400)), [this] { think(); });
}

/// Large profiles, which scattered leases stand in the way of.
control::PlanWish Planner::random_wish() {
  control::PlanWish wish;
  wish.waiting = random_.chance(3, 4);
  wish.spare = static_cast<std::int64_t>(random_.below(2));
  wish.max_parallel = static_cast<std::uint32_t>(random_.below(4));
  if (random_.chance(1, 4)) wish.pool = plan_.pools[random_.below(plan_.pools.size())];
  for (auto left = random_.below(4); left > 0; --left)
    wish.demands.push_back(
        {.memory = base::MiB(static_cast<std::int64_t>(4 + random_.below(60)) * 1024),
         .count = static_cast<std::int64_t>(1 + random_.below(4))});
  return wish;
}

/// A few leases change places, one after the other; what one leaves another may take. A good plan
/// moves little, so this is what tries the moving, and the restarting of some.
control::Plan Planner::random_moves(const control::Draft& draft) {
  control::Plan plan{.revision = draft.revision, .max_parallel = draft.max_parallel};
  std::map<fleet::GpuIndex, catalog::ModelIndex> models;
  std::map<fleet::GpuIndex, catalog::Layout> held;
  for (const auto& of : draft.problem.classes)
    for (const auto& share : of.entries) {
      const auto& entry = draft.entries[share.entry];
      models[entry.gpu] = of.state.model;
      held[entry.gpu] = entry.leased;
      plan.gpus.push_back({.gpu = entry.gpu,
                           .before = entry.layout,
                           .leased = entry.leased,
                           .after = 0,
                           .held = entry.held});
    }
  std::ranges::sort(plan.gpus, {}, &control::PlannedGpu::gpu);
  auto seats = draft.seats;
  std::vector<control::PlannedMove> starts;  ///< of leases that are restarted
  for (auto left = 1 + random_.below(5); left > 0 && !seats.empty(); --left) {
    const auto seat =
        std::next(seats.begin(), static_cast<std::ptrdiff_t>(random_.below(seats.size())));
    const auto [from, lease] = *seat;
    const auto& layouts = draft.catalog.model(models[from.first]).layouts;
    const auto places = layouts.instances_of(layouts.instance(from.second).profile);
    std::vector<std::pair<fleet::GpuIndex, catalog::InstanceIndex>> free;
    for (const auto& [gpu, layout] : held)
      if (models[gpu] == models[from.first])
        for (auto rest = layouts.addable(layout) & places; rest != 0; rest &= rest - 1)
          free.emplace_back(gpu, static_cast<catalog::InstanceIndex>(std::countr_zero(rest)));
    if (free.empty()) continue;
    const auto to = free[random_.below(free.size())];
    control::PlannedMove move{.lease = lease,
                              .from = from.first,
                              .from_instance = from.second,
                              .to = to.first,
                              .to_instance = to.second};
    if (random_.chance(1, 3)) {
      move.kind = control::MoveKind::kStart;
      starts.push_back(move);
      move.kind = control::MoveKind::kStop;
      move.to = move.from;
      move.to_instance = move.from_instance;
    }
    plan.moves.push_back(move);
    held[from.first] &= ~catalog::bit(from.second);
    held[to.first] |= catalog::bit(to.second);
    seats.erase(seat);
    if (move.kind == control::MoveKind::kMove) seats.emplace(to, lease);
  }
  plan.moves.insert(plan.moves.end(), starts.begin(), starts.end());
  for (auto& planned : plan.gpus) planned.after = held[planned.gpu];
  std::erase_if(plan.gpus, [&](const control::PlannedGpu& planned) {
    return std::ranges::none_of(plan.moves,
                                [&](const auto& move) { return move.touches(planned.gpu); });
  });
  return plan;
}

void Planner::think() {
  if (calm_) return;
  agenda_.after(seconds(100 + random_.below(400)), [this] { think(); });
  if (!control_.up()) return;
  auto draft = control::draft_plan(control_.state(), random_wish());
  if (!draft) return;
  const auto plan =
      random_.chance(1, 2)
          ? random_moves(*draft)
          : control::finish_plan(
                *draft, control::solve_draft(*draft, solver::make_coin_solver, Endless()), {});
  const auto delay = random_.chance(3, 4) ? Duration{} : seconds(random_.below(60));
  agenda_.after(delay, [this, plan] { put(plan); });
}

void Planner::put(const control::Plan& plan) {
  if (!control_.up()) return;
  const auto stored = control_.execute(control::PutPlan{plan}, kPlanner);
  if (!stored) {
    if (stored.error().reason == base::Reason::kPlanOutdated) faults_.count("plan-outdated");
    return;
  }
  for (const auto& event : stored->events)
    if (const auto* put = std::get_if<control::PlanPut>(&event))
      agenda_.after(random_.chance(1, 2) ? Duration{} : seconds(random_.below(120)),
                    [this, id = put->plan->id] { apply(id); });
}

/// It opens within minutes, or is open, and may be too short.
base::WeekWindow Planner::window_soon() {
  const auto opens =
      agenda_.now() + std::chrono::minutes(random_.below(16)) - std::chrono::minutes(4);
  return {base::week_time_of(opens), std::chrono::minutes(1 + random_.below(15))};
}

void Planner::apply(control::PlanId plan) {
  if (!control_.up()) return;
  control::ApplyPlan command{plan};
  command.allow_restarts = random_.chance(4, 5);
  if (random_.chance(1, 3)) command.window = window_soon();
  const auto applied = control_.execute(command, kPlanner);
  if (!applied) {
    if (applied.error().reason == base::Reason::kPlanOutdated) faults_.count("plan-outdated");
    return;
  }
  if (command.window) faults_.count("plan-scheduled");
  if (random_.chance(1, 6))
    agenda_.after(seconds(random_.below(200)), [this, plan] { abort(plan); });
}

void Planner::abort(control::PlanId plan) {
  if (!control_.up()) return;
  if (control_.execute(control::AbortPlan{plan}, kPlanner)) faults_.count("plan-aborted");
}

}  // namespace tessera::simulation
