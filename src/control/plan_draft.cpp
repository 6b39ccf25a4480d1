#include "control/plan_draft.h"

#include <algorithm>
#include <bit>
#include <set>

#include "base/check.h"
#include "control/decide.h"
#include "control/plan_places.h"

namespace tessera::control {
namespace {

using base::fail;
using catalog::Layout;
using catalog::ModelIndex;
using catalog::Technology;
using fleet::MigSlice;
using fleet::PoolIndex;
using fleet::SlicePhase;

/// Requests that one plan serves at most, and of these such for several slices: each is tried in a
/// plan of its own.
constexpr std::size_t kMostWaiting = 10'000;
constexpr std::size_t kMostSeveral = 16;

/// May a plan change the layouts of this pool?
bool plannable(const fleet::Pool& pool) {
  return !pool.name.empty() && !pool.fixed() && pool.offers(Technology::kMig);
}

/// The pools that are planned, each as a model of its own.
struct Pools {
  std::vector<PoolIndex> of_model;
  std::map<PoolIndex, ModelIndex> model_of;
  catalog::Catalog catalog;
};

Pools pools_of(const State& state, const std::string& only) {
  std::vector<PoolIndex> pools;
  std::map<PoolIndex, ModelIndex> numbers;
  std::vector<catalog::GpuModel> models;
  for (std::size_t i = 0; i < state.fleet().pools().size(); ++i) {
    const auto& pool = state.fleet().pools()[i];
    if (!plannable(pool) || (!only.empty() && pool.name != only)) continue;
    auto model = state.catalog().model(pool.model);
    if (!model.mig_capable()) continue;
    model.key = pool.name;
    model.names.clear();
    model.pci_ids.clear();
    model.layouts = {};
    model.plain_by_size.clear();
    numbers.emplace(PoolIndex(i), ModelIndex(models.size()));
    pools.emplace_back(i);
    models.push_back(std::move(model));
  }
  return {std::move(pools), std::move(numbers), catalog::Catalog(std::move(models))};
}

class Drafter {
 public:
  Drafter(const State& state, const PlanWish& wish)
      : state_(state),
        wish_(wish),
        now_(std::max(wish.now, state.last_change())),
        pools_(pools_of(state, wish.pool)),
        draft_(pools_.catalog) {}

  base::Result<Draft> run() {
    if (!wish_.pool.empty() && !state_.fleet().find_pool(wish_.pool))
      return fail(Reason::kUnknownObject, "there is no pool \"" + wish_.pool + "\"", "spec.pool",
                  "see `tessera get pools`");
    draft_.revision = state_.revision();
    draft_.max_parallel = wish_.max_parallel;
    draft_.problem.max_parallel = wish_.max_parallel;
    for (std::size_t i = 0; i < pools_.of_model.size(); ++i) add_pool(ModelIndex(i));
    keep_spares();
    merge();
    if (wish_.waiting) add_waiting();
    if (wish_.forecast) add_expected();
    for (std::size_t i = 0; i < wish_.demands.size(); ++i)
      if (auto added = add_wish(i); !added) return std::unexpected(added.error());
    tell_left_out();
    return std::move(draft_);
  }

 private:
  using Entry = Draft::Entry;

  void note(std::int64_t count, const std::string& what) {
    if (count > 0) draft_.notes.push_back(std::to_string(count) + " " + what);
  }

  void add_pool(ModelIndex model) {
    const auto pool = pools_.of_model[model.value()];
    hosts_counted_ = std::ranges::any_of(state_.fleet().nodes_of(pool), [&](auto node) {
      const auto& declared = state_.fleet().node(node);
      return declared.cpu.count() > 0 || declared.memory.count() > 0;
    });
    for (const auto node : state_.fleet().nodes_of(pool))
      for (const auto gpu : state_.fleet().node(node).gpus) add_gpu(model, gpu);
  }

  void add_gpu(ModelIndex model, GpuIndex index) {
    const auto& gpu = state_.fleet().gpu(index);
    const auto occupancy = fleet::occupancy_of(gpu);
    const bool divided = occupancy.empty() || occupancy.technology == Technology::kMig;
    if (!state_.index().open(index) || !divided) {
      ++(divided ? away_ : undivided_);
      return;
    }
    planning::GpuState found{.model = model};
    Entry entry{.gpu = index, .node = gpu.node};
    for (const auto& slice : gpu.slices) {
      const auto* mig = std::get_if<MigSlice>(&slice.shape);
      CHECK(mig != nullptr);
      found.layout |= catalog::bit(mig->instance);
      if (slice.phase == SlicePhase::kIdle) continue;
      entry.held.push_back(slice.generation);
      found.leased |= catalog::bit(mig->instance);
      if (movable(slice))
        draft_.seats.emplace(std::pair(index, mig->instance), slice.holder);
      else
        found.pinned |= catalog::bit(mig->instance);
    }
    pinned_ += std::popcount(found.pinned);
    found.weights.assign(static_cast<std::size_t>(std::popcount(found.leased & ~found.pinned)),
                         planning::kUnit);
    entry.layout = found.layout;
    entry.leased = found.leased;
    draft_.entries.push_back(std::move(entry));
    draft_.states.push_back(std::move(found));
  }

  bool movable(const fleet::Slice& slice) const {
    const auto* lease = state_.find(slice.holder);
    if (slice.phase != SlicePhase::kInUse || lease == nullptr) return false;
    const bool own =
        lease->slices.size() == 1 && lease->slices.front().generation == slice.generation;
    const bool settled = lease->state == request::LeaseState::kActive ||
                         lease->state == request::LeaseState::kExpiring;
    const bool host = lease->cpu.count() > 0 || lease->host_memory.count() > 0;
    const auto* tier = state_.find_tier(lease->tier);
    return own && settled && !lease->arriving && !(host && hosts_counted_) && tier != nullptr &&
           tier->movable && now_ >= lease->activated + tier->min_runtime;
  }

  /// Sets the last empty GPUs of each pool aside, as many as every pool has.
  void keep_spares() {
    std::map<ModelIndex, std::int64_t> empty;
    for (std::size_t i = 0; i < pools_.of_model.size(); ++i) empty[ModelIndex(i)] = 0;
    for (const auto& found : draft_.states)
      if (found.leased == 0) ++empty[found.model];
    std::int64_t spare = wish_.spare;
    for (const auto& [model, count] : empty) spare = std::min(spare, count);
    if (spare < wish_.spare)
      draft_.notes.push_back("only " + std::to_string(spare) + " of " +
                             std::to_string(wish_.spare) + " spare GPUs are empty in every pool");
    draft_.problem.spare = spare;
    set_aside(spare);
  }

  void set_aside(std::int64_t spare) {
    std::map<ModelIndex, std::int64_t> taken;
    std::vector<Entry> entries;
    std::vector<planning::GpuState> states;
    for (std::size_t i = draft_.states.size(); i-- > 0;) {
      if (draft_.states[i].leased == 0 && taken[draft_.states[i].model] < spare) {
        ++taken[draft_.states[i].model];
        draft_.spares[draft_.states[i].model].push_back(std::move(draft_.entries[i]));
      } else {
        entries.push_back(std::move(draft_.entries[i]));
        states.push_back(std::move(draft_.states[i]));
      }
    }
    std::ranges::reverse(entries);
    std::ranges::reverse(states);
    draft_.entries = std::move(entries);
    draft_.states = std::move(states);
  }

  void merge() {
    const std::vector<std::int64_t> counts(draft_.states.size(), 1);
    draft_.problem.classes = planning::merge(draft_.states, counts);
  }

  /// What the requests that wait would take, one demand for all that would take the same.
  void add_waiting() {
    std::map<std::vector<planning::Kind>, std::size_t> known;
    std::size_t taken = 0;
    for (const auto& [id, request] : state_.requests()) {
      if (request.state != request::RequestState::kQueued) continue;
      if (request.need.nodes > 1) {
        ++gangs_;
        continue;
      }
      if (request.need.count > 1) {
        add_several(request);
        continue;
      }
      std::string text;
      auto kinds = kinds_for(request, text);
      if (kinds.empty()) {
        ++unserved_;
        continue;
      }
      if (++taken > kMostWaiting) break;
      const auto [at, fresh] = known.try_emplace(kinds, draft_.problem.demands.size());
      if (fresh) add_demand({.kinds = std::move(kinds), .count = 0}, "waiting for " + text);
      ++draft_.problem.demands[at->second].count;
      ++waiting_[shape_of(request).owned()];
      draft_.requests[at->second].push_back(id);
    }
  }

  void add_several(const request::Request& request) {
    Draft::Several one{.request = request.id, .count = request.need.count};
    one.kinds = kinds_for(request, one.text);
    if (one.kinds.empty()) {
      ++unserved_;
      return;
    }
    if (draft_.several.size() == kMostSeveral) {
      ++several_;
      return;
    }
    one.text = "waiting for " + std::to_string(one.count) + " x " + one.text + " on one node";
    for (const auto pool : pools_.of_model)
      for (const auto index : state_.fleet().nodes_of(pool))
        if (!host_has_room(state_.fleet().node(index), request.need))
          one.full_hosts.push_back(index);
    std::ranges::sort(one.full_hosts);
    waiting_[shape_of(request).owned()] += one.count;
    draft_.several.push_back(std::move(one));
  }

  /// The profiles that would serve a request in pools where its team's limit leaves room.
  std::vector<planning::Kind> kinds_for(const request::Request& request, std::string& text) {
    const auto* team = state_.find_team(request.team);
    const auto need = matched_need(request);
    if (team == nullptr) return {};
    const auto world = world_of(state_, *team);
    const auto matched = placement::match(world.for_matching(), need);
    std::set<planning::Kind> kinds;
    if (!matched) return {};
    auto& asked = asked_[request.team];
    for (const auto& candidate : matched->candidates) {
      const auto model = pools_.model_of.find(candidate.pool);
      if (candidate.technology != Technology::kMig || model == pools_.model_of.end()) continue;
      auto& more = asked.try_emplace(candidate.pool, 0).first->second;
      if (!placement::within_limit(world, candidate, more + need.count)) continue;
      if (kinds.empty())
        text =
            name_of(candidate, state_.catalog().model(state_.fleet().pool(candidate.pool).model)) +
            " or more";
      kinds.insert({model->second, candidate.profile});
    }
    std::set<PoolIndex> touched;
    for (const auto& kind : kinds) touched.insert(pools_.of_model[kind.model.value()]);
    for (const auto pool : touched) asked[pool] += need.count;
    return {kinds.begin(), kinds.end()};
  }

  /// What is expected beyond what is held and what is planned for because it waits, one demand for
  /// each tier and size.
  void add_expected() {
    auto made = forecast(state_.history(), *wish_.forecast, now_, false);
    for (auto& line : made.lines) {
      line.more -= std::min(line.more, waiting_[line.shape]);
      line.more = std::min(line.more, kMostExpected);
      if (line.more == 0) continue;
      auto kinds = kinds_for(line.shape);
      if (kinds.empty()) {
        unplanned_ += line.more;
        line.more = 0;
        continue;
      }
      add_demand({.kinds = std::move(kinds), .value = kExpectedValue, .count = line.more},
                 "expected in " + line.shape.tier + ": " + size_of(line.shape));
    }
    draft_.forecast = std::move(made);
  }

  /// The profiles that a slice of this tier and size could be, whichever team asks.
  std::vector<planning::Kind> kinds_for(const DemandShape& shape) const {
    const auto* tier = state_.find_tier(shape.tier);
    if (tier == nullptr) return {};
    const tenancy::Team anybody;
    const request::Need need{.memory = shape.memory,
                             .compute = shape.compute,
                             .sms = shape.sms,
                             .models = shape.models,
                             .pool = shape.pool,
                             .tier = shape.tier};
    const placement::MatchWorld world{state_.catalog(), state_.fleet(), state_.index().nodes(),
                                      state_.tiers(), anybody};
    std::set<planning::Kind> kinds;
    for (const auto& candidate : placement::candidates_in(world, *tier, need)) {
      const auto model = pools_.model_of.find(candidate.pool);
      if (candidate.technology == Technology::kMig && model != pools_.model_of.end())
        kinds.insert({model->second, candidate.profile});
    }
    return {kinds.begin(), kinds.end()};
  }

  base::Result<void> add_wish(std::size_t index) {
    const auto& wish = wish_.demands[index];
    const std::string where = "spec.demand[" + std::to_string(index) + "]";
    std::vector<planning::Kind> kinds;
    for (std::size_t m = 0; m < draft_.catalog.models().size(); ++m) {
      const auto& profiles = draft_.catalog.models()[m].profiles;
      for (std::size_t p = 0; p < profiles.size(); ++p)
        if (serves(profiles[p], wish))
          kinds.push_back({ModelIndex(m), static_cast<std::uint16_t>(p)});
    }
    if (kinds.empty())
      return fail(Reason::kNeverFits, "no pool that is planned has a profile like that", where,
                  "ask for less, or for a profile of a model that is there");
    if (wish.count > 0 && wish.value > planning::kLargestSum / wish.count)
      return fail(Reason::kInvalidQuantity, "the values are more than can be added up", where,
                  "use smaller values or counts");
    values_ += wish.value * wish.count;
    if (values_ > planning::kLargestSum)
      return fail(Reason::kInvalidQuantity, "the values are more than can be added up", where,
                  "use smaller values or counts");
    add_demand({.kinds = std::move(kinds), .value = wish.value, .count = wish.count},
               to_string(wish));
    return {};
  }

  void add_demand(planning::Demand demand, std::string text) {
    draft_.problem.demands.push_back(std::move(demand));
    draft_.demand_texts.push_back(std::move(text));
    draft_.requests.emplace_back();
  }

  void tell_left_out() {
    note(away_, "GPUs are away, cordoned, quarantined or held back by a plan: left as they are");
    note(undivided_, "GPUs are lent undivided or in shares: left as they are");
    note(pinned_, "slices stay where they are: their tier is not movable, or they cannot move now");
    note(several_, "more requests wait for several slices on one node: not planned for");
    note(gangs_, "requests wait for several nodes: not planned for");
    note(unserved_, "requests wait for what layouts do not decide: not planned for");
    note(unplanned_,
         "slices are expected in sizes or tiers that layouts do not decide: not planned for");
  }

  const State& state_;
  const PlanWish& wish_;
  Instant now_;
  Pools pools_;
  Draft draft_;
  bool hosts_counted_ = false;  ///< in the pool being added
  /// What other waiting requests of a team may take, by pool, in slices.
  std::map<std::string, std::map<PoolIndex, int>> asked_;
  std::int64_t away_ = 0, undivided_ = 0, pinned_ = 0, several_ = 0, gangs_ = 0, unserved_ = 0,
               values_ = 0;
  std::int64_t unplanned_ = 0;
  std::map<DemandShape, std::int64_t> waiting_;  ///< slices that are planned for because they wait
};

}  // namespace

bool serves(const catalog::MigProfile& profile, const WishedDemand& wish) {
  if (!wish.profile.empty()) return profile.name == wish.profile;
  return profile.memory && *profile.memory >= wish.memory &&
         (wish.sms.count() == 0 || (profile.sms && *profile.sms >= wish.sms));
}

std::string to_string(const WishedDemand& wish) {
  if (!wish.profile.empty()) return wish.profile;
  const bool any_compute = wish.sms.count() == 0;
  return base::to_string(wish.memory) +
         (any_compute ? "" : ", " + std::to_string(wish.sms.count()) + " SMs");
}

base::Result<Draft> draft_plan(const State& state, const PlanWish& wish) {
  return Drafter(state, wish).run();
}

}  // namespace tessera::control
