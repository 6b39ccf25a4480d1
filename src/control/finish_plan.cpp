#include <bit>
#include <deque>
#include <set>

#include "base/check.h"
#include "control/plan_draft.h"

namespace tessera::control {
namespace {

using catalog::Layout;
using catalog::ModelIndex;

/// Walks through the steps of a solution with the leases in hand.
class Finisher {
 public:
  Finisher(const Draft& draft, const planning::Plan& solution)
      : draft_(draft), solution_(solution), seats_(draft.seats) {}

  Plan run(base::Duration solving) {
    plan_.revision = draft_.revision;
    plan_.max_parallel = draft_.max_parallel;
    plan_.notes = draft_.notes;
    plan_.forecast = draft_.forecast;
    set_figures(solving);
    for (const auto& assignment : solution_.layouts)
      for (std::int64_t i = 0; i < assignment.gpus.count; ++i)
        set_target(entry_at(assignment.gpus, i), assignment.target);
    for (const auto& step : solution_.change.steps) follow(step);
    serve();
    serve_several();
    for (const auto& [gpu, planned] : gpus_)
      if (touched_.contains(gpu) || planned.before != planned.after) plan_.gpus.push_back(planned);
    return std::move(plan_);
  }

 private:
  void set_figures(base::Duration solving) {
    auto& figures = plan_.figures;
    figures.served = solution_.served;
    figures.served_bound = solution_.served_bound;
    figures.moved = solution_.moved;
    figures.moved_bound = solution_.moved_bound;
    figures.changed = solution_.changed;
    figures.changed_bound = solution_.changed_bound;
    figures.proven = solution_.proven;
    figures.forced_restarts = solution_.change.forced_restarts;
    figures.peak_extra = solution_.change.peak_extra;
    figures.solving = solving;
  }

  const Draft::Entry& entry_at(const planning::Gpus& gpus, std::int64_t offset) const {
    const auto number = static_cast<std::size_t>(gpus.first + offset);
    const auto& classes = draft_.problem.classes;
    if (gpus.of_class < classes.size())
      return draft_.entries[classes[gpus.of_class].entries[number].entry];
    const auto model = solution_.change.spare_models[gpus.of_class - classes.size()];
    return draft_.spares.at(model)[number];
  }
  ModelIndex model_of(const planning::Gpus& gpus) const {
    const auto& classes = draft_.problem.classes;
    return gpus.of_class < classes.size()
               ? classes[gpus.of_class].state.model
               : solution_.change.spare_models[gpus.of_class - classes.size()];
  }

  PlannedGpu& set_target(const Draft::Entry& entry, Layout target) {
    return gpus_
        .try_emplace(entry.gpu,
                     PlannedGpu{entry.gpu, entry.layout, entry.leased, target, entry.held})
        .first->second;
  }
  /// The plan needs this GPU, whether its layout changes or not.
  void touch(const Draft::Entry& entry) {
    set_target(entry, entry.layout);
    touched_.insert(entry.gpu);
  }

  static catalog::InstanceIndex only(Layout layout) {
    return static_cast<catalog::InstanceIndex>(std::countr_zero(layout));
  }

  void follow(const planning::Step& step) {
    for (std::int64_t i = 0; i < step.gpus.count; ++i) {
      const auto& entry = entry_at(step.gpus, i);
      const std::pair from(entry.gpu, only(step.instances));
      if (step.kind == planning::StepKind::kMove) {
        const auto& goal = entry_at(step.to, i);
        move(from, {goal.gpu, step.to_instance});
        touch(entry);
        touch(goal);
      } else if (step.kind == planning::StepKind::kStop) {
        stop(from, model_of(step.gpus));
        touch(entry);
      } else if (step.kind == planning::StepKind::kStart) {
        start(from, model_of(step.gpus));
        touch(entry);
      }
    }
  }

  using Seat = std::pair<GpuIndex, catalog::InstanceIndex>;

  planning::Kind kind_at(ModelIndex model, catalog::InstanceIndex instance) const {
    return {model, draft_.catalog.model(model).layouts.instance(instance).profile};
  }

  /// The lease leaves its seat, for `to` if it moves.
  const PlannedMove& leave(Seat from, Seat to, MoveKind kind) {
    const auto seat = seats_.find(from);
    CHECK(seat != seats_.end());
    plan_.moves.push_back({.lease = seat->second,
                           .from = from.first,
                           .from_instance = from.second,
                           .to = to.first,
                           .to_instance = to.second,
                           .kind = kind});
    seats_.erase(seat);
    return plan_.moves.back();
  }

  void stop(Seat from, ModelIndex model) {
    stopped_[kind_at(model, from.second)].push_back(leave(from, from, MoveKind::kStop));
  }

  /// Of those stopped that it could be, the one that has been down longest.
  void start(Seat to, ModelIndex model) {
    auto& waiting = stopped_[kind_at(model, to.second)];
    CHECK(!waiting.empty());
    auto begun = waiting.front();
    waiting.pop_front();
    begun.kind = MoveKind::kStart;
    begun.to = to.first;
    begun.to_instance = to.second;
    CHECK(seats_.emplace(to, begun.lease).second);
    plan_.moves.push_back(begun);
  }

  void move(Seat from, Seat to) {
    CHECK(seats_.emplace(to, leave(from, to, MoveKind::kMove).lease).second);
  }

  /// Finds every served request a place that nobody holds after the change.
  void serve() {
    for (std::size_t d = 0; d < draft_.problem.demands.size(); ++d)
      plan_.demands.push_back({draft_.demand_texts[d], draft_.problem.demands[d].count, 0});
    auto places = free_places();
    for (const auto& service : solution_.services) {
      auto& demand = plan_.demands[service.demand];
      const auto& requests = draft_.requests[service.demand];
      auto& free = places[service.kind];
      for (std::int64_t i = 0; i < service.items; ++i, ++demand.served) {
        const auto next = static_cast<std::size_t>(demand.served);
        if (next >= requests.size()) continue;  // wished for, nobody waits
        CHECK(!free.empty());
        plan_.grants.push_back({requests[next], free.back().first, free.back().second});
        touched_.insert(free.back().first);
        free.pop_back();
      }
    }
  }

  /// Each has the seats that were booked for it. What all of them are worth is part of what is
  /// served, and known from the start.
  void serve_several() {
    for (const auto& several : draft_.several) {
      const bool served = !several.seats.empty();
      auto line = std::ranges::find(plan_.demands, several.text, &PlannedDemand::text);
      if (line == plan_.demands.end())
        line = plan_.demands.insert(line, PlannedDemand{several.text, 0, 0});
      ++line->count;
      if (!served) continue;
      ++line->served;
      PlannedGrant grant{several.request,
                         several.seats.front().gpu,
                         several.seats.front().instance,
                         {several.seats.begin() + 1, several.seats.end()}};
      for (const auto& seat : several.seats) touched_.insert(seat.gpu);
      plan_.grants.insert(plan_.grants.begin(), std::move(grant));
      const auto value = several.count * planning::kUnit;
      plan_.figures.served += value;
      plan_.figures.served_bound += value;
    }
    if (!draft_.several.empty())
      plan_.notes.push_back(
          "requests for several slices are placed first, one after the other, where each displaces "
          "least; the bounds are for everything else around them");
  }

  std::map<planning::Kind, std::vector<Seat>> free_places() const {
    std::map<planning::Kind, std::vector<Seat>> places;
    for (const auto& assignment : solution_.layouts) {
      const auto model = model_of(assignment.gpus);
      const auto& state = draft_.problem.classes[assignment.gpus.of_class].state;
      const auto& layouts = draft_.catalog.model(model).layouts;
      for (std::int64_t i = assignment.gpus.count; i-- > 0;) {
        const auto gpu = entry_at(assignment.gpus, i).gpu;
        const Layout others = assignment.target & ~state.pinned & ~state.booked;
        for (Layout rest = others; rest != 0; rest &= rest - 1) {
          const auto instance = only(rest);
          if (!seats_.contains({gpu, instance}))
            places[{model, layouts.instance(instance).profile}].emplace_back(gpu, instance);
        }
      }
    }
    return places;
  }

  const Draft& draft_;
  const planning::Plan& solution_;
  std::map<Seat, LeaseId> seats_;                              ///< where the leases are by now
  std::map<planning::Kind, std::deque<PlannedMove>> stopped_;  ///< oldest first
  std::map<GpuIndex, PlannedGpu> gpus_;
  std::set<GpuIndex> touched_;
  Plan plan_;
};

}  // namespace

Plan finish_plan(const Draft& draft, const planning::Plan& solution, base::Duration solving) {
  return Finisher(draft, solution).run(solving);
}

}  // namespace tessera::control
