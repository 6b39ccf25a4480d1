#include "planning/model.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "base/check.h"

namespace tessera::planning {
namespace {

using catalog::GpuModel;
using catalog::LayoutTable;
using catalog::MigProfile;

/// Whether wherever `variant` fits, `plain` fits as well and serves the same needs.
bool stands_in(const MigProfile& plain, const MigProfile& variant) {
  if (!plain.plain() || plain.memory_slices != variant.memory_slices) return false;
  if (plain.max_instances < static_cast<int>(plain.placements.size())) return false;
  if (plain.memory.value_or(catalog::MiB{}) < variant.memory.value_or(catalog::MiB{}) ||
      plain.sms.value_or(catalog::Sms{}) < variant.sms.value_or(catalog::Sms{}))
    return false;
  return std::ranges::all_of(variant.placements, [&](catalog::Placement placement) {
    return std::ranges::find(plain.placements, placement) != plain.placements.end();
  });
}

/// A variant (media, graphics) is used where it is asked for by name or held; otherwise the plain
/// profile of the same size does.
bool replaceable(const GpuModel& model, std::size_t profile) {
  return !model.profiles[profile].plain() &&
         std::ranges::any_of(model.profiles, [&](const MigProfile& other) {
           return stands_in(other, model.profiles[profile]);
         });
}

/// The kinds that anything is leased as or asked for.
class WantedKinds {
 public:
  WantedKinds(const Problem& problem, const catalog::Catalog& catalog) {
    std::map<Kind, std::int64_t> leased;
    for (const GpuClass& of : problem.classes) {
      const LayoutTable& layouts = catalog.model(of.state.model).layouts;
      for (const Layout held : {of.state.leased, of.state.booked})
        for (Layout rest = held; rest != 0; rest &= rest - 1) {
          const auto instance = static_cast<InstanceIndex>(std::countr_zero(rest));
          leased[{of.state.model, layouts.instance(instance).profile}] += of.count;
        }
    }
    std::set<ModelIndex> present;
    for (const GpuClass& of : problem.classes) present.insert(of.state.model);
    for (const Demand& demand : problem.demands) {
      if (demand.count == 0 || demand.value == 0) continue;
      for (const Kind& kind : demand.kinds)
        if (present.contains(kind.model) &&
            (demand.kinds.size() == 1 || !replaceable(catalog.model(kind.model), kind.profile)))
          leased[kind] += 0;
    }
    for (const auto& [kind, count] : leased) {
      kinds.push_back(kind);
      counts.push_back(count);
    }
  }

  std::vector<Kind> kinds;
  std::vector<std::int64_t> counts;
};

/// The maximal layouts of one model made of wanted profiles.
struct ModelLayouts {
  Layout wanted = 0;  ///< instances of wanted profiles
  std::vector<Layout> maximal;
};

ModelLayouts layouts_of(const GpuModel& model, std::span<const std::size_t> profiles) {
  ModelLayouts found;
  for (const std::size_t profile : profiles) found.wanted |= model.layouts.instances_of(profile);
  if (profiles.empty()) return {0, {0}};
  for (const Layout layout : model.layouts.enumerate(profiles))
    if ((model.layouts.addable(layout) & found.wanted) == 0) found.maximal.push_back(layout);
  return found;
}

/// Is `a` at least as good as `b` in every respect?
bool dominates(const Column& a, const Column& b, std::size_t kinds) {
  if (a.moved > b.moved || a.changed > b.changed) return false;
  for (std::size_t k = 0; k < kinds; ++k)
    if (a.offers[k] < b.offers[k]) return false;
  return true;
}

class Builder {
 public:
  Builder(const Problem& problem, const catalog::Catalog& catalog)
      : problem_(problem), catalog_(catalog) {}

  /// The model of other classes, with the kinds, leases and wants of `of`.
  Model build_like(const Model& of) {
    model_.kinds = of.kinds;
    model_.leased = of.leased;
    model_.wants = of.wants;
    model_.value_unit = of.value_unit;
    for (const GpuClass& one : problem_.classes) model_.targets.push_back(targets_of(one));
    return std::move(model_);
  }

  Model build() {
    WantedKinds wanted(problem_, catalog_);
    model_.kinds = std::move(wanted.kinds);
    model_.leased = std::move(wanted.counts);
    find_units();
    for (const GpuClass& of : problem_.classes) model_.targets.push_back(targets_of(of));
    add_wants();
    return std::move(model_);
  }

 private:
  void find_units() {
    std::int64_t value = 0, weight = 0;
    for (const Demand& demand : problem_.demands) value = std::gcd(value, demand.value);
    for (const GpuClass& of : problem_.classes)
      for (const std::int64_t one : of.state.weights) weight = std::gcd(weight, one);
    model_.value_unit = std::max<std::int64_t>(value, 1);
    model_.weight_unit = std::max<std::int64_t>(weight, 1);
  }

  Column column(const GpuClass& of, const Targets& targets, Layout target) const {
    const LayoutTable& layouts = catalog_.model(of.state.model).layouts;
    Column made;
    made.target = target;
    for (std::size_t k = 0; k < targets.kinds; ++k)
      made.offers[k] = static_cast<std::uint8_t>(std::popcount(
          target & layouts.instances_of(model_.kinds[targets.first_kind + k].profile)));
    made.moved = of.moved_by(target) / model_.weight_unit;
    made.changed = target != of.state.layout;
    return made;
  }

  const ModelLayouts& layouts_of_model(ModelIndex model, const Targets& targets) {
    const auto known = layouts_.find(model);
    if (known != layouts_.end()) return known->second;
    std::vector<std::size_t> profiles;
    for (std::size_t k = 0; k < targets.kinds; ++k)
      profiles.push_back(model_.kinds[targets.first_kind + k].profile);
    return layouts_.emplace(model, layouts_of(catalog_.model(model), profiles)).first->second;
  }

  Targets targets_of(const GpuClass& of) {
    Targets targets;
    const auto first = std::ranges::lower_bound(model_.kinds, Kind{of.state.model, 0});
    targets.first_kind = static_cast<std::size_t>(first - model_.kinds.begin());
    while (targets.first_kind + targets.kinds < model_.kinds.size() &&
           model_.kinds[targets.first_kind + targets.kinds].model == of.state.model)
      ++targets.kinds;
    CHECK(targets.kinds <= kMostProfiles);

    // Those that leave most as it is and most room come first, so that of equals they stay.
    const ModelLayouts& known = layouts_of_model(of.state.model, targets);
    const LayoutTable& layouts = catalog_.model(of.state.model).layouts;
    std::vector<std::tuple<int, int, Layout>> candidates;
    const Layout kept = of.state.pinned | of.state.booked;
    for (const Layout layout : known.maximal)
      if ((layout & kept) == kept)
        candidates.emplace_back(-std::popcount(layout & of.state.layout), -layouts.openness(layout),
                                layout);
    std::ranges::sort(candidates);
    std::vector<Column> all;
    if ((of.state.layout & kept) == kept) all.push_back(column(of, targets, of.state.layout));
    for (const auto& [same, open, layout] : candidates) all.push_back(column(of, targets, layout));
    keep_undominated(all, targets);
    return targets;
  }

  static void keep_undominated(const std::vector<Column>& all, Targets& targets) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      bool beaten = false;
      for (std::size_t j = 0; i != 0 && j < all.size() && !beaten; ++j)
        beaten = j != i && dominates(all[j], all[i], targets.kinds) &&
                 (j < i || !dominates(all[i], all[j], targets.kinds));
      if (!beaten) targets.columns.push_back(all[i]);
    }
  }

  void add_wants() {
    std::map<std::pair<std::vector<std::size_t>, std::int64_t>, Want> merged;
    for (std::size_t d = 0; d < problem_.demands.size(); ++d) {
      const Demand& demand = problem_.demands[d];
      std::vector<std::size_t> kinds;
      for (const Kind& kind : demand.kinds) {
        const auto at = std::ranges::lower_bound(model_.kinds, kind);
        if (at != model_.kinds.end() && *at == kind)
          kinds.push_back(static_cast<std::size_t>(at - model_.kinds.begin()));
      }
      if (kinds.empty() || demand.count == 0 || demand.value == 0) continue;
      Want& want = merged[{kinds, demand.value}];
      want.count += demand.count;
      want.demands.push_back(d);
    }
    for (auto& [key, want] : merged) {
      want.kinds = key.first;
      want.value = key.second / model_.value_unit;
      model_.wants.push_back(std::move(want));
    }
  }

  const Problem& problem_;
  const catalog::Catalog& catalog_;
  Model model_;
  std::map<ModelIndex, ModelLayouts> layouts_;
};

}  // namespace

Model build_model(const Problem& problem, const catalog::Catalog& catalog) {
  return Builder(problem, catalog).build();
}

Model served_model(const Problem& problem, const Model& model, const catalog::Catalog& catalog,
                   Problem& merged) {
  std::vector<GpuState> states;
  std::vector<std::int64_t> counts;
  for (const GpuClass& of : problem.classes) {
    states.push_back({.model = of.state.model,
                      .layout = of.state.pinned,
                      .leased = of.state.pinned,
                      .pinned = of.state.pinned,
                      .weights = {},
                      .booked = of.state.booked});
    counts.push_back(of.count);
  }
  merged = {.classes = merge(states, counts), .demands = problem.demands};
  return Builder(merged, catalog).build_like(model);
}

bool Score::better_than(const Score& other) const {
  return std::tuple(-served, moved, changed) <
         std::tuple(-other.served, other.moved, other.changed);
}

bool score_of(const Problem& problem, const Model& model, const Choice& choice, Score& score) {
  score = {};
  std::vector<std::int64_t> room(model.kinds.size(), 0);
  for (std::size_t k = 0; k < room.size(); ++k) room[k] = -model.leased[k];
  for (std::size_t c = 0; c < model.targets.size(); ++c) {
    const Targets& targets = model.targets[c];
    std::int64_t left = problem.classes[c].count;
    for (std::size_t i = 0; i < targets.columns.size(); ++i) {
      const std::int64_t gpus = choice.gpus[c][i];
      if (gpus < 0) return false;
      left -= gpus;
      score.moved += gpus * targets.columns[i].moved;
      score.changed += targets.columns[i].changed ? gpus : 0;
      for (std::size_t k = 0; k < targets.kinds; ++k)
        room[targets.first_kind + k] += gpus * targets.columns[i].offers[k];
    }
    if (left != 0) return false;
  }
  for (std::size_t w = 0; w < model.wants.size(); ++w) {
    std::int64_t left = model.wants[w].count;
    for (std::size_t i = 0; i < model.wants[w].kinds.size(); ++i) {
      const std::int64_t items = choice.items[w][i];
      if (items < 0) return false;
      left -= items;
      room[model.wants[w].kinds[i]] -= items;
      score.served += items * model.wants[w].value;
    }
    if (left < 0) return false;
  }
  return std::ranges::all_of(room, [](std::int64_t free) { return free >= 0; });
}

Choice as_it_stands(const Problem& problem, const Model& model) {
  Choice choice;
  std::vector<std::int64_t> room(model.kinds.size(), 0);
  for (std::size_t k = 0; k < room.size(); ++k) room[k] = -model.leased[k];
  for (std::size_t c = 0; c < model.targets.size(); ++c) {
    const Targets& targets = model.targets[c];
    choice.gpus.emplace_back(targets.columns.size(), 0).front() = problem.classes[c].count;
    for (std::size_t k = 0; k < targets.kinds; ++k)
      room[targets.first_kind + k] += problem.classes[c].count * targets.columns[0].offers[k];
  }
  std::vector<std::size_t> order(model.wants.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    return std::tuple(-model.wants[a].value, model.wants[a].kinds.size()) <
           std::tuple(-model.wants[b].value, model.wants[b].kinds.size());
  });
  for (const Want& want : model.wants) choice.items.emplace_back(want.kinds.size(), 0);
  for (const std::size_t w : order) {
    std::int64_t left = model.wants[w].count;
    for (std::size_t i = 0; i < model.wants[w].kinds.size(); ++i) {
      std::int64_t& free = room[model.wants[w].kinds[i]];
      const std::int64_t items = std::min(left, free);
      choice.items[w][i] = items;
      free -= items;
      left -= items;
    }
  }
  return choice;
}

}  // namespace tessera::planning
