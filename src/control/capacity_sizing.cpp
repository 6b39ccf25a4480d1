#include "control/capacity_sizing.h"

#include <algorithm>
#include <numeric>

#include "placement/fit.h"

namespace tessera::control {
namespace {

using planning::Supply;
using planning::SupplyAnswer;
using planning::SupplyChoice;

/// A part of the patience there is, so that the first of many questions leaves some for the others.
class Part final : public planning::Patience {
 public:
  explicit Part(const Patience& whole) : whole_(whole), reserve_(whole.left() * 3 / 4) {}
  base::Duration left() const override {
    return std::max(whole_.left() - reserve_, base::Duration{});
  }

 private:
  const Patience& whole_;
  base::Duration reserve_;
};

std::int64_t gpus_in(const SupplyChoice& choice, std::size_t stock) {
  return std::accumulate(choice.gpus[stock].begin(), choice.gpus[stock].end(), std::int64_t{0});
}

/// Of all choices that use no more GPUs and serve as much, one whose slices take the least of them.
SupplyChoice tidied(const SizingWorld& world, const SlotSupply& slots, const SupplyAnswer& answer) {
  Supply supply = slots.supply;
  for (std::size_t s = 0; s < supply.stocks.size(); ++s) {
    supply.stocks[s].count = gpus_in(answer.choice, s);
    for (planning::Cut& cut : supply.stocks[s].cuts) cut.cost = 0;
  }
  for (std::size_t l = 0; l < supply.lines.size(); ++l) {
    planning::Line& line = supply.lines[l];
    line.need = served_of(line, answer.choice.items[l]);
    for (planning::Use& use : line.uses) use.cost = slots.kinds[use.kind].part.count();
  }
  const SupplyAnswer tidy = least_cost(supply, world.solver, Part(world.patience));
  return tidy.found ? tidy.choice : answer.choice;
}

std::vector<LineFigures> figures_of(const SlotSupply& slots, const SupplyChoice& choice) {
  std::vector<LineFigures> figures;
  for (std::size_t l = 0; l < slots.supply.lines.size(); ++l) {
    const planning::Line& line = slots.supply.lines[l];
    LineFigures of{.served = served_of(line, choice.items[l]), .part = {}, .slices = {}};
    for (std::size_t u = 0; u < line.uses.size(); ++u) {
      if (choice.items[l][u] == 0) continue;
      const SliceKind& kind = slots.kinds[line.uses[u].kind];
      of.part += kind.part * choice.items[l][u];
      of.slices[kind.name] += choice.items[l][u];
    }
    figures.push_back(std::move(of));
  }
  return figures;
}

/// A year's licences of a choice.
Cents licences_of(const SlotSupply& slots, const SupplyChoice& choice,
                  const TechniqueTerms& terms) {
  std::int64_t gpus = 0, users = 0;
  for (std::size_t s = 0; s < choice.gpus.size(); ++s)
    for (std::size_t c = 0; c < choice.gpus[s].size(); ++c)
      if (slots.licensed[s][c]) gpus += choice.gpus[s][c];
  for (std::size_t l = 0; l < choice.items.size(); ++l)
    for (std::size_t u = 0; u < choice.items[l].size(); ++u) {
      const auto kind = slots.supply.lines[l].uses[u].kind;
      if (slots.kinds[kind].candidate.technology == Technology::kVgpu) users += choice.items[l][u];
    }
  return gpus * in_cents(terms.licence_per_gpu) + users * in_cents(terms.licence_per_user);
}

std::string need_words(const DemandLine& line) {
  if (!line.profile.empty()) return line.profile;
  return base::to_string(line.memory) +
         (line.sms.count() == 0 ? "" : " with " + std::to_string(line.sms.count()) + " SMs");
}

/// The first line that none of the kinds serves; "" where there is none.
std::string unserved(const SlotSupply& slots, const std::vector<SlotLine>& lines) {
  for (std::size_t l = 0; l < lines.size(); ++l)
    if (slots.supply.lines[l].uses.empty() && lines[l].slots > 0)
      return "no slice for " + lines[l].tier.name + ", " + need_words(*lines[l].asked);
  return {};
}

void take_over(const SlotSupply& slots, const SupplyAnswer& answer, const SupplyChoice& choice,
               std::size_t at_hand, const std::vector<Purchase>& purchases,
               const TechniqueTerms& terms, Sizing& sizing) {
  sizing.possible = true;
  sizing.bound = answer.bound;
  sizing.proven = answer.proven;
  sizing.lines = figures_of(slots, choice);
  sizing.licences = licences_of(slots, choice, terms);
  sizing.cost = sizing.licences;
  for (std::size_t p = 0; p < purchases.size(); ++p) {
    sizing.gpus.push_back(gpus_in(answer.choice, at_hand + p));
    sizing.total += sizing.gpus.back();
    if (purchases[p].cost && sizing.cost)
      *sizing.cost += *purchases[p].cost * sizing.gpus.back();
    else
      sizing.cost.reset();
  }
}

}  // namespace

base::Result<Sizing> size_fleet(const SizingWorld& world, const fleet::Fleet& pools,
                                const std::vector<SlotLine>& lines,
                                const std::vector<Purchase>& purchases,
                                const std::vector<GpuStock>& at_hand, bool by_cost) {
  std::vector<GpuStock> stocks = at_hand;
  for (const Purchase& one : purchases)
    stocks.push_back({.each = {one.pool, placement::empty_gpu(pools.pool(one.pool)), 0},
                      .cost = by_cost ? one.cost.value_or(0) : 1});
  const auto slots = slot_supply(world.catalog, pools, lines, stocks, world.terms, by_cost);
  if (!slots) return std::unexpected(slots.error());
  Sizing sizing{.by_cost = by_cost};
  sizing.why_not = unserved(*slots, lines);
  if (!sizing.why_not.empty()) return sizing;
  const SupplyAnswer answer = least_cost(slots->supply, world.solver, Part(world.patience));
  if (!answer.found) {
    sizing.why_not = answer.impossible ? "it cannot be served" : "not found within the time limit";
    return sizing;
  }
  // A cheapest choice is left as it is: its licences are part of what is cheapest.
  const SupplyChoice choice = by_cost ? answer.choice : tidied(world, *slots, answer);
  take_over(*slots, answer, choice, at_hand.size(), purchases, world.terms, sizing);
  return sizing;
}

base::Result<Serving> serve(const SizingWorld& world, const fleet::Fleet& pools,
                            const std::vector<SlotLine>& lines,
                            const std::vector<GpuStock>& stocks) {
  const auto slots = slot_supply(world.catalog, pools, lines, stocks, world.terms, false);
  if (!slots) return std::unexpected(slots.error());
  const SupplyAnswer answer = most_served(slots->supply, world.solver, Part(world.patience));
  Serving serving{
      .lines = {}, .served = answer.figure, .bound = answer.bound, .proven = answer.proven};
  if (!answer.found)
    serving.lines.resize(lines.size());
  else
    serving.lines = figures_of(*slots, tidied(world, *slots, answer));
  return serving;
}

}  // namespace tessera::control
