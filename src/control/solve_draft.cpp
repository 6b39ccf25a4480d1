#include <algorithm>
#include <bit>
#include <map>
#include <optional>

#include "control/plan_draft.h"

namespace tessera::control {
namespace {

using catalog::Layout;
using planning::GpuState;

/// Nodes that one request is tried on.
constexpr std::size_t kMostTried = 3;

/// Instances of one profile on one GPU, and the weight of the leases they displace.
struct Choice {
  std::int64_t displaced = 0;
  Layout seats = 0;
};

/// Seats for one request on one node.
struct Booking {
  std::int64_t displaced = 0;
  std::vector<std::pair<std::size_t, Layout>> seats;  ///< by entry
};

/// Where requests for several slices could be booked.
class Booker {
 public:
  explicit Booker(const Draft& draft) : draft_(draft) {
    for (std::size_t i = 0; i < draft.entries.size(); ++i)
      by_node_[{draft.states[i].model, draft.entries[i].node}].push_back(i);
  }

  /// For each node the seats that displace least; the nodes where that is least first.
  std::vector<Booking> bookings(const Draft::Several& several,
                                const std::vector<GpuState>& states) const {
    std::vector<Booking> found;
    for (const auto& [place, entries] : by_node_) {
      if (std::ranges::binary_search(several.full_hosts, place.second)) continue;
      std::optional<Booking> best;
      for (const auto& kind : several.kinds) {
        if (kind.model != place.first) continue;
        auto here = booked(several.count, kind, entries, states);
        if (here && (!best || here->displaced < best->displaced)) best = std::move(here);
      }
      if (best) found.push_back(std::move(*best));
    }
    std::ranges::stable_sort(found, {}, &Booking::displaced);
    if (found.size() > kMostTried) found.resize(kMostTried);
    return found;
  }

 private:
  /// `count` instances of a kind on the GPUs of one node: a table of how many the GPUs so far give,
  /// and what that displaces at least.
  std::optional<Booking> booked(int count, const planning::Kind& kind,
                                const std::vector<std::size_t>& entries,
                                const std::vector<GpuState>& states) const {
    std::vector<std::optional<Booking>> table(static_cast<std::size_t>(count) + 1);
    table[0] = Booking{};
    for (const auto entry : entries) {
      const auto choices = choices_on(states[entry], kind.profile);
      for (auto have = table.size(); have-- > 0;) {
        if (!table[have]) continue;
        for (std::size_t more = 1; more < choices.size() && have + more < table.size(); ++more) {
          if (!choices[more]) continue;
          auto& goal = table[have + more];
          const auto displaced = table[have]->displaced + choices[more]->displaced;
          if (goal && goal->displaced <= displaced) continue;
          auto with = *table[have];
          with.displaced = displaced;
          with.seats.emplace_back(entry, choices[more]->seats);
          goal = std::move(with);
        }
      }
    }
    return table.back();
  }

  /// For each number of instances the seats that displace least.
  std::vector<std::optional<Choice>> choices_on(const GpuState& state, std::size_t profile) const {
    const auto& layouts = draft_.catalog.model(state.model).layouts;
    const Layout kept = state.pinned | state.booked;
    std::vector<std::optional<Choice>> best(1);
    std::vector<Layout> grown = {0};
    for (std::size_t i = 0; i < grown.size(); ++i) {
      const Layout made = grown[i];
      for (Layout rest = layouts.addable(kept | made) & layouts.instances_of(profile); rest != 0;
           rest &= rest - 1) {
        const Layout one = rest & -rest;
        if (one <= made) continue;  // in rising order, each set once
        grown.push_back(made | one);
        const auto seats = static_cast<std::size_t>(std::popcount(made | one));
        if (best.size() <= seats) best.resize(seats + 1);
        const auto displaced = displaced_by(state, layouts, made | one);
        if (!best[seats] || displaced < best[seats]->displaced)
          best[seats] = Choice{displaced, made | one};
      }
    }
    return best;
  }

  static std::int64_t displaced_by(const GpuState& state, const catalog::LayoutTable& layouts,
                                   Layout seats) {
    std::int64_t displaced = 0;
    std::size_t next = 0;
    for (Layout rest = state.leased & ~state.pinned; rest != 0; rest &= rest - 1, ++next) {
      const auto held = static_cast<catalog::InstanceIndex>(std::countr_zero(rest));
      if ((layouts.conflicts(held) & seats) != 0) displaced += state.weights[next];
    }
    return displaced;
  }

  const Draft& draft_;
  std::map<std::pair<catalog::ModelIndex, fleet::NodeIndex>, std::vector<std::size_t>> by_node_;
};

std::vector<planning::GpuClass> merged(const std::vector<GpuState>& states) {
  return planning::merge(states, std::vector<std::int64_t>(states.size(), 1));
}

std::vector<Seat> seats_of(const Draft& draft, const Booking& booking) {
  std::vector<Seat> seats;
  for (const auto& [entry, layout] : booking.seats)
    for (Layout rest = layout; rest != 0; rest &= rest - 1)
      seats.push_back(
          {draft.entries[entry].gpu, static_cast<catalog::InstanceIndex>(std::countr_zero(rest))});
  return seats;
}

}  // namespace

planning::Plan solve_draft(Draft& draft, const planning::SolverFactory& solver,
                           const planning::Patience& patience) {
  auto best = planning::make_plan(draft.problem, draft.catalog, solver, patience);
  const Booker booker(draft);
  for (auto& several : draft.several) {
    for (const auto& booking : booker.bookings(several, draft.states)) {
      if (patience.left() <= base::Duration{}) return best;
      auto states = draft.states;
      for (const auto& [entry, seats] : booking.seats) states[entry].booked |= seats;
      auto trial = draft.problem;
      trial.classes = merged(states);
      auto plan = planning::make_plan(trial, draft.catalog, solver, patience);
      if (!plan.feasible || plan.served + several.count * planning::kUnit < best.served) continue;
      several.seats = seats_of(draft, booking);
      draft.states = std::move(states);
      draft.problem = std::move(trial);
      best = std::move(plan);
      break;
    }
  }
  return best;
}

}  // namespace tessera::control
