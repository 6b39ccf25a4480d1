#include "control/capacity_answer.h"

#include <algorithm>
#include <array>
#include <set>
#include <span>

#include "control/capacity_room.h"
#include "placement/fit.h"

namespace tessera::control {
namespace {

using base::fail;
using catalog::Isolation;
using catalog::ModelIndex;
using fleet::PoolIndex;

/// More slots than that, of all lines together, are a mistake.
constexpr std::int64_t kMostSlots = 10'000'000;
/// What a technique may fall back on, the weakest first.
constexpr std::array kTechniques = {Technology::kTimeSlicing, Technology::kVgpu, Technology::kMig,
                                    Technology::kWhole};

std::string need_text(const DemandLine& line) {
  if (!line.profile.empty()) return line.profile;
  return base::to_string(line.memory) +
         (line.sms.count() == 0 ? "" : ", " + std::to_string(line.sms.count()) + " SMs");
}

/// Everything that a GPU of this model can do.
std::vector<Technology> technologies_of(const catalog::GpuModel& model) {
  std::vector<Technology> all = {Technology::kTimeSlicing};
  if (!model.vgpu_types.empty()) all.push_back(Technology::kVgpu);
  if (model.mig_capable()) all.push_back(Technology::kMig);
  all.push_back(Technology::kWhole);
  return all;
}

class Answerer {
 public:
  Answerer(const catalog::Catalog& catalog, const FleetAtHand& fleet, const CapacityDemand& demand,
           const planning::SolverFactory& solver, const planning::Patience& patience)
      : catalog_(catalog),
        fleet_(fleet),
        demand_(demand),
        world_{catalog, demand.terms, solver, patience} {}

  base::Result<CapacityAnswer> run(const std::vector<Addition>& additions) {
    if (auto done = resolve_lines(); !done) return std::unexpected(done.error());
    choose_models();
    if (auto done = refuse_hopeless(); !done) return std::unexpected(done.error());
    for (auto step : {&Answerer::size_models, &Answerer::size_cheapest, &Answerer::serve_fleet,
                      &Answerer::find_rooms, &Answerer::compare_techniques})
      if (auto done = (this->*step)(); !done) return std::unexpected(done.error());
    if (auto done = add(additions); !done) return std::unexpected(done.error());
    tell_notes();
    return std::move(answer_);
  }

 private:
  using Done = base::Result<void>;

  Done resolve_lines() {
    std::int64_t slots = 0, values = 0;
    for (const DemandLine& line : demand_.lines) {
      auto tier = tier_of(line);
      if (!tier) return std::unexpected(tier.error());
      const auto asked = slots_of(line);
      if (!asked) return std::unexpected(asked.error());
      slots += *asked;
      std::int64_t value = 0;
      if (slots > kMostSlots)
        return fail(base::Reason::kInvalidQuantity,
                    "the slots add up to more than " + std::to_string(kMostSlots), line.where,
                    "ask for fewer");
      if (__builtin_mul_overflow(*asked, line.value, &value) ||
          (values += value) > planning::kLargestSum)
        return fail(base::Reason::kInvalidQuantity, "the values are more than can be added up",
                    line.where + ".value", "use smaller ones; only their proportions matter");
      answer_.lines.push_back({.tier = line.tier,
                               .need = need_text(line),
                               .isolation = line.isolation.value_or(tier->isolation),
                               .slots = *asked,
                               .arrivals = line.arrivals,
                               .level = line.level,
                               .value = line.value});
      lines_.push_back({&line, std::move(*tier), *asked});
    }
    return {};
  }

  static base::Result<std::int64_t> slots_of(const DemandLine& line) {
    if (!line.arrivals) return line.count;
    const auto slots = planning::slots_for(*line.arrivals, line.level);
    if (slots) return *slots;
    return fail(base::Reason::kInvalidQuantity,
                "that many arrivals of that length would hold more than a million slots at once",
                line.where + ".arrivalsPerHour", "ask for fewer or shorter ones");
  }

  base::Result<tenancy::Tier> tier_of(const DemandLine& line) const {
    const auto known = fleet_.tiers.find(line.tier);
    if (known == fleet_.tiers.end()) {
      std::string names;
      for (const auto& [name, tier] : fleet_.tiers) names += (names.empty() ? "" : ", ") + name;
      return fail(base::Reason::kUnknownObject, "there is no tier \"" + line.tier + "\"",
                  line.where + ".tier",
                  names.empty() ? "declare tiers first" : "the tiers are " + names);
    }
    tenancy::Tier tier = known->second;
    const auto other = demand_.terms.oversubscription.find(tier.name);
    if (other != demand_.terms.oversubscription.end()) tier.oversubscription = other->second;
    const Isolation least = line.isolation.value_or(tier.isolation);
    const bool given = std::ranges::any_of(tier.technologies, [&](Technology technology) {
      return tier.isolation_with(technology).value_or(Isolation::kShared) >= least &&
             tier.isolation_with(technology).has_value();
    });
    if (!given)
      return fail(
          base::Reason::kNoTier,
          "tier " + tier.name + " never gives isolation " + std::string(catalog::to_string(least)),
          line.where + ".isolation", "ask for less, or of a stronger tier");
    return tier;
  }

  /// The models that may be bought, each as a pool of its own that carries every tier.
  void choose_models() {
    options_ = demand_.gpus;
    if (options_.empty()) {
      std::set<ModelIndex> models;
      for (const GpusAlike& gpus : fleet_.gpus)
        models.insert(fleet_.fleet.pool(gpus.each.pool).model);
      for (const ModelIndex model : models)
        options_.push_back({.model = model, .per_hour = {}, .purchase = {}});
    }
    std::set<std::string> tiers;
    for (const DemandLine& line : demand_.lines) tiers.insert(line.tier);
    asked_tiers_.assign(tiers.begin(), tiers.end());
    both_ = fleet_.fleet;
    for (const GpuOption& option : options_) {
      const auto& model = catalog_.model(option.model);
      fleet::Pool pool{.name = model.key,
                       .model = option.model,
                       .tiers = asked_tiers_,
                       .technologies = technologies_of(model)};
      const auto cost = yearly_cost(option, demand_.years);
      shop_.push_back({market_.put_pool(pool), cost});
      // No name of a pool at hand has a blank.
      pool.name = "new " + model.key;
      beside_.push_back({both_.put_pool(std::move(pool)), cost});
    }
  }

  Done refuse_hopeless() const {
    for (const SlotLine& line : lines_) {
      if (!slices_for(catalog_, market_, line).empty()) continue;
      if (!slices_for(catalog_, fleet_.fleet, line).empty()) continue;
      const bool exact = !line.asked->profile.empty();
      return fail(base::Reason::kNeverFits,
                  "no GPU of this fleet, nor of the models that could be bought, has " +
                      need_text(*line.asked) + " for tier " + line.tier.name,
                  line.asked->where + (exact ? ".profile" : ".memory"),
                  "ask for less, or list a model under spec.gpus that has it");
    }
    return {};
  }

  Done size_models() {
    const auto at_hand = stocks_of(fleet_, false);
    for (std::size_t i = 0; i < options_.size(); ++i) {
      auto alone = size_fleet(world_, market_of(i), lines_, {shop_[i]});
      if (!alone) return std::unexpected(alone.error());
      auto beside = size_fleet(world_, only(beside_[i].pool), lines_, {beside_[i]}, at_hand);
      if (!beside) return std::unexpected(beside.error());
      answer_.models.push_back({catalog_.model(options_[i].model).key, shop_[i].cost,
                                std::move(*alone), std::move(*beside)});
    }
    return {};
  }

  /// The fleet at hand and one pool of new GPUs: other new ones serve nothing.
  fleet::Fleet only(PoolIndex fresh) const {
    fleet::Fleet pools = both_;
    for (const Purchase& one : beside_)
      if (one.pool != fresh) pools.pool(one.pool).tiers.clear();
    return pools;
  }

  Done size_cheapest() {
    const bool priced =
        std::ranges::all_of(shop_, [](const Purchase& one) { return one.cost.has_value(); });
    if (!priced || shop_.empty()) return {};
    auto cheapest = size_fleet(world_, market_, lines_, shop_, {}, true);
    if (!cheapest) return std::unexpected(cheapest.error());
    answer_.cheapest = std::move(*cheapest);
    return {};
  }

  Done serve_fleet() {
    for (const GpusAlike& gpus : fleet_.gpus) answer_.gpus += gpus.count;
    answer_.closed = fleet_.closed;
    auto now = serve(world_, fleet_.fleet, lines_, stocks_of(fleet_, false));
    if (!now) return std::unexpected(now.error());
    answer_.now = std::move(*now);
    if (!any_movable(fleet_)) return {};
    auto planned = serve(world_, fleet_.fleet, lines_, stocks_of(fleet_, true));
    if (!planned) return std::unexpected(planned.error());
    answer_.planned = std::move(*planned);
    return {};
  }

  Done find_rooms() {
    for (const std::string& name : asked_tiers_) {
      const auto& tier = fleet_.tiers.find(name)->second;
      TierRoom room{.tier = name, .now = largest_now(catalog_, fleet_, tier), .planned = {}};
      room.planned = room.now;
      if (any_movable(fleet_)) {
        const auto planned = largest_planned(world_, fleet_, tier, room.now);
        if (!planned) return std::unexpected(planned.error());
        room.planned = *planned;
      }
      answer_.rooms.push_back(std::move(room));
    }
    return {};
  }

  Done add(const std::vector<Addition>& additions) {
    answer_.additions = additions;
    if (additions.empty()) return {};
    fleet::Fleet pools = fleet_.fleet;
    auto stocks = stocks_of(fleet_, false);
    for (const Addition& one : additions) {
      const auto pool = pools.put_pool(pool_for(one.model));
      stocks.push_back(
          {.each = {pool, placement::empty_gpu(pools.pool(pool)), 0}, .count = one.count});
    }
    auto added = serve(world_, pools, lines_, stocks);
    if (!added) return std::unexpected(added.error());
    answer_.added = std::move(*added);
    return {};
  }

  /// New GPUs do what those of their model here do; where there are none, all they can.
  fleet::Pool pool_for(ModelIndex of) const {
    const auto& model = catalog_.model(of);
    std::set<std::string> tiers;
    std::set<Technology> technologies;
    for (const auto& pool : fleet_.fleet.pools()) {
      if (pool.name.empty() || pool.model != of || pool.fixed()) continue;
      tiers.insert(pool.tiers.begin(), pool.tiers.end());
      technologies.insert(pool.technologies.begin(), pool.technologies.end());
    }
    fleet::Pool pool{.name = "new " + model.key,
                     .model = of,
                     .tiers = asked_tiers_,
                     .technologies = technologies_of(model)};
    if (tiers.empty()) return pool;
    pool.tiers.assign(tiers.begin(), tiers.end());
    pool.technologies.assign(technologies.begin(), technologies.end());
    return pool;
  }

  /// The line's promise, kept by these techniques alone.
  SlotLine line_by(const SlotLine& line, std::span<const Technology> technologies) const {
    SlotLine changed = line;
    const Isolation least = line.asked->isolation.value_or(line.tier.isolation);
    changed.tier.isolation = least;
    changed.tier.technologies.clear();
    for (const Technology technology : technologies) {
      const auto& may = demand_.terms.serves;
      const auto listed = may.find(technology);
      if (listed == may.end() || std::ranges::count(listed->second, least) > 0)
        changed.tier.technologies.push_back(technology);
    }
    return changed;
  }

  std::string why_refused(const SlotLine& line, Technology technology,
                          const catalog::GpuModel& model) const {
    const Isolation least = line.asked->isolation.value_or(line.tier.isolation);
    const std::string name(catalog::to_string(technology));
    if (line.tier.technologies.empty())
      return name + " may not serve " + std::string(catalog::to_string(least));
    if (!line.tier.isolation_with(technology))
      return name + " gives " + std::string(catalog::to_string(kept_by(technology))) + ", not " +
             std::string(catalog::to_string(least));
    if (!line.asked->profile.empty() && technology != Technology::kMig)
      return "a MIG profile is asked for";
    return "none of " + model.key + " has " + need_text(*line.asked);
  }

  Done compare_techniques() {
    for (std::size_t i = 0; i < options_.size(); ++i)
      for (const Technology technology : kTechniques)
        if (auto done = compare(i, technology); !done) return done;
    return {};
  }

  Done compare(std::size_t option, Technology technology) {
    const auto& model = catalog_.model(options_[option].model);
    if (std::ranges::count(technologies_of(model), technology) == 0) return {};
    TechniqueSizing sizing{.technology = technology, .model = model.key};
    const fleet::Fleet shop = market_of(option);
    std::vector<SlotLine> served, all;
    for (const SlotLine& line : lines_) {
      SlotLine own = line_by(line, {&technology, 1});
      const bool able = !slices_for(catalog_, shop, own).empty();
      sizing.refused.push_back(able ? "" : why_refused(own, technology, model));
      all.push_back(able ? own : line_by(line, kTechniques));
      if (!able) continue;
      sizing.slots += line.slots;
      served.push_back(std::move(own));
    }
    auto alone = size_fleet(world_, shop, served, {shop_[option]});
    if (!alone) return std::unexpected(alone.error());
    auto whole = size_fleet(world_, shop, all, {shop_[option]});
    if (!whole) return std::unexpected(whole.error());
    sizing.alone = std::move(*alone);
    sizing.whole = std::move(*whole);
    answer_.techniques.push_back(std::move(sizing));
    return {};
  }

  /// GPUs of one model alone.
  fleet::Fleet market_of(std::size_t option) const {
    fleet::Fleet pools = market_;
    for (std::size_t p = 0; p < pools.pools().size(); ++p)
      if (PoolIndex(p) != shop_[option].pool) pools.pool(PoolIndex(p)).tiers.clear();
    return pools;
  }

  void tell_notes() {
    const auto note = [&](std::string text) { answer_.notes.push_back(std::move(text)); };
    if (fleet_.closed > 0)
      note(std::to_string(fleet_.closed) +
           " GPUs are away, cordoned, quarantined or held back by a plan: not counted");
    if (std::ranges::any_of(lines_,
                            [](const SlotLine& line) { return line.asked->arrivals.has_value(); }))
      note(
          "slots for arrivals are Erlang's, line by line: arrivals at random, those that find no "
          "slot do not wait");
    if (std::ranges::any_of(
            options_, [](const GpuOption& option) { return !option.per_hour && !option.purchase; }))
      note("without prices under spec.gpus costs are counted in GPUs");
  }

  const catalog::Catalog& catalog_;
  const FleetAtHand& fleet_;
  const CapacityDemand& demand_;
  SizingWorld world_;
  CapacityAnswer answer_;
  std::vector<SlotLine> lines_;
  std::vector<GpuOption> options_;
  std::vector<std::string> asked_tiers_;
  fleet::Fleet market_;  ///< a pool for each option
  std::vector<Purchase> shop_;
  fleet::Fleet both_;  ///< the fleet at hand, and a pool for each option
  std::vector<Purchase> beside_;
};

}  // namespace

base::Result<CapacityAnswer> answer_capacity(const catalog::Catalog& catalog,
                                             const FleetAtHand& fleet, const CapacityDemand& demand,
                                             const std::vector<Addition>& additions,
                                             const planning::SolverFactory& solver,
                                             const planning::Patience& patience) {
  return Answerer(catalog, fleet, demand, solver, patience).run(additions);
}

}  // namespace tessera::control
