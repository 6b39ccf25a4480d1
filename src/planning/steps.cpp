#include "planning/steps.h"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <set>

#include "base/check.h"

namespace tessera::planning {
namespace {

using catalog::bit;
using catalog::LayoutTable;

InstanceIndex lowest(Layout layout) {
  return static_cast<InstanceIndex>(std::countr_zero(layout));
}

/// GPUs that are in the same state all through the change so far.
struct Group {
  Gpus gpus;
  ModelIndex model;
  Layout now = 0;
  Layout leased = 0;
  Layout target = 0;
  bool cordoned = false;
  bool spare = false;
  Layout parked = 0;  ///< slices made for guests
  Layout booked = 0;  ///< of the target: for nobody who has a lease now

  Layout leaving() const { return leased & ~target; }                ///< leases that must go
  Layout homes() const { return now & target & ~leased & ~booked; }  ///< free slices that stay
};

/// Where one lease of each of a group's GPUs is.
struct Seat {
  std::size_t group = 0;
  InstanceIndex instance = 0;
};

/// Carries the change out in thought, and writes down what it does.
class Walk {
 public:
  Walk(const Problem& problem, const catalog::Catalog& catalog, std::span<const Assignment> targets)
      : catalog_(catalog) {
    for (const Assignment& one : targets) {
      const GpuState& state = problem.classes[one.gpus.of_class].state;
      CHECK((one.target & state.pinned) == state.pinned);
      groups_.push_back({.gpus = one.gpus,
                         .model = state.model,
                         .now = state.layout,
                         .leased = state.leased,
                         .target = one.target,
                         .booked = state.booked});
    }
    add_spares(problem);
  }

  Change run() {
    for (std::size_t g = 0; g < groups_.size(); ++g) settle(g);
    while (true) {
      if (start_stopped() || move_home()) continue;
      const auto stuck = least_stuck();
      if (!stuck) break;
      if (!park(*stuck)) stop(*stuck);
    }
    for (const Group& group : groups_)
      CHECK(group.now == group.target && !group.cordoned && group.leaving() == 0);
    CHECK(std::ranges::all_of(stopped_, [](const auto& one) { return one.second == 0; }));
    return std::move(change_);
  }

 private:
  void add_spares(const Problem& problem) {
    if (problem.spare == 0) return;
    std::set<ModelIndex> models;
    for (const GpuClass& of : problem.classes) models.insert(of.state.model);
    for (const ModelIndex model : models) {
      const std::size_t of_class = problem.classes.size() + change_.spare_models.size();
      groups_.push_back({.gpus = {of_class, 0, problem.spare}, .model = model, .spare = true});
      change_.spare_models.push_back(model);
    }
  }

  const LayoutTable& layouts(const Group& group) const {
    return catalog_.model(group.model).layouts;
  }
  Kind kind_of(const Group& group, InstanceIndex instance) const {
    return {group.model, layouts(group).instance(instance).profile};
  }
  Layout places(const Group& group, Kind kind) const {
    return layouts(group).instances_of(kind.profile);
  }

  void cordon(std::size_t g) {
    if (groups_[g].cordoned) return;
    groups_[g].cordoned = true;
    change_.steps.push_back({.kind = StepKind::kCordon, .gpus = groups_[g].gpus});
  }

  /// Makes `g` a group of `count` GPUs; the others become a group of their own.
  void split(std::size_t g, std::int64_t count) {
    if (groups_[g].gpus.count == count) return;
    Group rest = groups_[g];
    rest.gpus.first += count;
    rest.gpus.count -= count;
    groups_[g].gpus.count = count;
    groups_.push_back(rest);
  }

  /// Removes what is free and not planned, makes what is planned and fits, and lifts the cordon
  /// once all is as planned.
  void settle(std::size_t g) {
    Group& group = groups_[g];
    if (const Layout doomed = group.now & ~group.target & ~group.leased; doomed != 0) {
      cordon(g);
      change_.steps.push_back(
          {.kind = StepKind::kDestroy, .gpus = group.gpus, .instances = doomed});
      group.now &= ~doomed;
      group.parked &= ~doomed;
    }
    Layout made = 0;
    for (Layout missing = group.target & ~group.now; missing != 0; missing &= missing - 1)
      if (layouts(group).legal(group.now | made | bit(lowest(missing))))
        made |= bit(lowest(missing));
    if (made != 0) {
      cordon(g);
      change_.steps.push_back({.kind = StepKind::kCreate, .gpus = group.gpus, .instances = made});
      group.now |= made;
    }
    if (group.cordoned && group.now == group.target) {
      group.cordoned = false;
      change_.steps.push_back({.kind = StepKind::kUncordon, .gpus = group.gpus});
    }
  }

  /// A free slice that stays, of this kind, in the groups from `first` on.
  std::optional<Seat> home_of(Kind kind, std::size_t first = 0) const {
    for (std::size_t g = first; g < groups_.size(); ++g) {
      if (groups_[g].model != kind.model) continue;
      const Layout free = groups_[g].homes() & places(groups_[g], kind);
      if (free != 0) return Seat{g, lowest(free)};
    }
    return std::nullopt;
  }

  /// The leases that must go, those of the GPUs that need fewest moves first.
  std::vector<Seat> leaving() const {
    std::vector<Seat> seats;
    for (std::size_t g = 0; g < groups_.size(); ++g)
      for (Layout rest = groups_[g].leaving(); rest != 0; rest &= rest - 1)
        seats.push_back({g, lowest(rest)});
    std::ranges::stable_sort(
        seats, {}, [&](const Seat& seat) { return std::popcount(groups_[seat.group].leaving()); });
    return seats;
  }

  void carry(Seat from, Seat to) {
    const std::int64_t count =
        std::min(groups_[from.group].gpus.count, groups_[to.group].gpus.count);
    split(from.group, count);
    split(to.group, count);
    Group& source = groups_[from.group];
    Group& goal = groups_[to.group];
    change_.steps.push_back({.kind = StepKind::kMove,
                             .gpus = source.gpus,
                             .instances = bit(from.instance),
                             .to = goal.gpus,
                             .to_instance = to.instance});
    if ((source.parked & bit(from.instance)) != 0) extra_ -= count;
    source.leased &= ~bit(from.instance);
    goal.leased |= bit(to.instance);
  }

  /// Moves every lease that has a home to go to. False: none had.
  bool move_home() {
    bool any = false;
    // Homes before these groups are taken; those that come free in this pass wait for the next.
    std::map<Kind, std::size_t> searched;
    for (const Seat& from : leaving()) {
      const Kind kind = kind_of(groups_[from.group], from.instance);
      const auto home = home_of(kind, searched[kind]);
      searched[kind] = home ? home->group : groups_.size();
      if (!home) continue;
      carry(from, *home);
      settle(from.group);
      any = true;
    }
    return any;
  }

  bool start_stopped() {
    bool any = false;
    for (auto& [kind, waiting] : stopped_) {
      while (waiting > 0) {
        const auto home = home_of(kind);
        if (!home) break;
        split(home->group, std::min(groups_[home->group].gpus.count, waiting));
        Group& group = groups_[home->group];
        change_.steps.push_back(
            {.kind = StepKind::kStart, .gpus = group.gpus, .instances = bit(home->instance)});
        group.leased |= bit(home->instance);
        waiting -= group.gpus.count;
        any = true;
      }
    }
    return any;
  }

  /// A lease that must go and is best helped first: not yet parked, on a GPU that needs few moves.
  std::optional<Seat> least_stuck() const {
    const auto seats = leaving();
    if (seats.empty()) return std::nullopt;
    const auto unparked = std::ranges::find_if(seats, [&](const Seat& seat) {
      return (groups_[seat.group].parked & bit(seat.instance)) == 0;
    });
    return unparked == seats.end() ? seats.front() : *unparked;
  }

  /// Of many GPUs that are stuck alike a few are helped: what they free helps the others. The
  /// share keeps the list short for large groups.
  static std::int64_t few_of(std::int64_t count) { return (count + 15) / 16; }

  /// A place for a guest that is in nobody's way, on a spare GPU if possible.
  std::optional<Seat> guest_room(const Seat& from) const {
    const Kind kind = kind_of(groups_[from.group], from.instance);
    std::optional<Seat> found;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const Group& group = groups_[g];
      if (g == from.group || group.model != kind.model || (found && !group.spare)) continue;
      for (Layout rest = places(group, kind) & ~group.now; rest != 0; rest &= rest - 1) {
        const bool in_the_way =
            (layouts(group).conflicts(lowest(rest)) & (group.now | group.target)) != 0;
        if (in_the_way || !layouts(group).legal(group.now | bit(lowest(rest)))) continue;
        found = Seat{g, lowest(rest)};
        break;
      }
      if (found && group.spare) break;
    }
    return found;
  }

  bool park(Seat from) {
    if ((groups_[from.group].parked & bit(from.instance)) != 0) return false;
    const auto room = guest_room(from);
    if (!room) return false;
    const std::int64_t count =
        std::min(few_of(groups_[from.group].gpus.count), groups_[room->group].gpus.count);
    split(from.group, count);
    split(room->group, count);
    cordon(room->group);
    Group& host = groups_[room->group];
    change_.steps.push_back(
        {.kind = StepKind::kCreate, .gpus = host.gpus, .instances = bit(room->instance)});
    host.now |= bit(room->instance);
    host.parked |= bit(room->instance);
    extra_ += count;
    change_.peak_extra = std::max(change_.peak_extra, extra_);
    carry(from, *room);
    settle(from.group);
    return true;
  }

  void stop(Seat from) {
    split(from.group, few_of(groups_[from.group].gpus.count));
    Group& group = groups_[from.group];
    change_.steps.push_back(
        {.kind = StepKind::kStop, .gpus = group.gpus, .instances = bit(from.instance)});
    if ((group.parked & bit(from.instance)) != 0) extra_ -= group.gpus.count;
    group.leased &= ~bit(from.instance);
    stopped_[kind_of(group, from.instance)] += group.gpus.count;
    change_.forced_restarts += group.gpus.count;
    settle(from.group);
  }

  const catalog::Catalog& catalog_;
  std::vector<Group> groups_;
  std::map<Kind, std::int64_t> stopped_;
  std::int64_t extra_ = 0;
  Change change_;
};

}  // namespace

Change steps_of(const Problem& problem, const catalog::Catalog& catalog,
                std::span<const Assignment> targets) {
  return Walk(problem, catalog, targets).run();
}

}  // namespace tessera::planning
