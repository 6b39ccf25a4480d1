#include "wire/capacity_answer_object.h"

#include <algorithm>

#include "wire/document.h"

namespace tessera::wire {
namespace {

using control::CapacityAnswer;
using control::Cents;
using control::LineFigures;
using control::Serving;
using control::Sizing;

/// A whole number where it is one.
Json amount(std::int64_t count, std::int64_t unit) {
  if (count % unit == 0) return count / unit;
  return static_cast<double>(count) / static_cast<double>(unit);
}

Json slots(std::int64_t thousandths) {
  return amount(thousandths, planning::kSlot);
}

/// Values are counted in millionths, slots in thousandths.
Json value_of(std::int64_t served) {
  return amount(served / planning::kSlot, planning::kUnit);
}

/// "1234.50", or null where it is not known.
Json money(const std::optional<Cents>& cents) {
  if (!cents) return nullptr;
  const std::string part = std::to_string(100 + *cents % 100).substr(1);
  return std::to_string(*cents / 100) + "." + part;
}

Json line_json(const CapacityAnswer& answer, std::size_t index) {
  const auto& line = answer.lines[index];
  Json json = {{"tier", line.tier},
               {"need", line.need},
               {"isolation", to_string(line.isolation)},
               {"slots", line.slots},
               {"value", amount(line.value, planning::kUnit)}};
  if (line.arrivals) {
    json["arrivalsPerHour"] = amount(line.arrivals->per_hour, 1000);
    json["meanDuration"] = base::to_string(line.arrivals->mean);
    json["load"] = line.arrivals->load();
    json["serviceLevel"] = static_cast<double>(line.level) / planning::kEveryArrival;
    json["blocked"] = planning::blocked(line.arrivals->load(), line.slots);
  }
  return json;
}

Json figures_json(const std::vector<LineFigures>& lines) {
  Json list = Json::array();
  for (const LineFigures& line : lines)
    list.push_back({{"served", slots(line.served)},
                    {"gpus", base::to_string(line.part)},
                    {"slices", line.slices}});
  return list;
}

struct TierSum {
  std::int64_t asked = 0;
  std::int64_t served = 0;
  base::GpuFraction part;
};

/// Tiers in the order of the lines.
Json tiers_json(const CapacityAnswer& answer, const std::vector<LineFigures>& figures) {
  std::vector<std::pair<std::string, TierSum>> sums;
  for (std::size_t l = 0; l < answer.lines.size() && l < figures.size(); ++l) {
    const auto& name = answer.lines[l].tier;
    auto at = std::ranges::find(sums, name, &std::pair<std::string, TierSum>::first);
    if (at == sums.end()) at = sums.insert(sums.end(), {name, {}});
    at->second.asked += answer.lines[l].slots * planning::kSlot;
    at->second.served += figures[l].served;
    at->second.part += figures[l].part;
  }
  Json list = Json::array();
  for (const auto& [name, sum] : sums)
    list.push_back({{"tier", name},
                    {"asked", slots(sum.asked)},
                    {"served", slots(sum.served)},
                    {"missing", slots(sum.asked - sum.served)},
                    {"gpus", base::to_string(sum.part)}});
  return list;
}

Json sizing_json(const Sizing& sizing) {
  if (!sizing.possible) return {{"possible", false}, {"why", sizing.why_not}};
  return {{"possible", true},
          {"gpus", sizing.total},
          {"bound", sizing.by_cost ? money(sizing.bound) : Json(sizing.bound)},
          {"proven", sizing.proven},
          {"costPerYear", money(sizing.cost)},
          {"licencesPerYear", money(sizing.licences)},
          {"lines", figures_json(sizing.lines)}};
}

Json serving_json(const CapacityAnswer& answer, const Serving& serving) {
  return {{"tiers", tiers_json(answer, serving.lines)},
          {"lines", figures_json(serving.lines)},
          {"served", value_of(serving.served)},
          {"bound", value_of(serving.bound)},
          {"proven", serving.proven}};
}

Json models_json(const CapacityAnswer& answer) {
  Json list = Json::array();
  for (const auto& model : answer.models) {
    Json alone = sizing_json(model.alone);
    if (model.alone.possible) alone["tiers"] = tiers_json(answer, model.alone.lines);
    list.push_back({{"model", model.model},
                    {"costPerGpuYear", money(model.cost)},
                    {"alone", std::move(alone)},
                    {"beside", sizing_json(model.beside)}});
  }
  return list;
}

Json cheapest_json(const CapacityAnswer& answer) {
  if (!answer.cheapest) return nullptr;
  Json json = sizing_json(*answer.cheapest);
  if (!answer.cheapest->possible) return json;
  Json mix = Json::object();
  for (std::size_t i = 0; i < answer.models.size(); ++i)
    if (answer.cheapest->gpus[i] > 0) mix[answer.models[i].model] = answer.cheapest->gpus[i];
  json["mix"] = std::move(mix);
  json["tiers"] = tiers_json(answer, answer.cheapest->lines);
  return json;
}

Json largest_json(const control::LargestSlice& slice) {
  if (slice.name.empty()) return nullptr;
  return {{"profile", slice.name},
          {"memory", base::to_string(slice.memory)},
          {"sms", slice.sms.count()},
          {"pool", slice.pool}};
}

Json fleet_json(const CapacityAnswer& answer) {
  Json rooms = Json::array();
  for (const auto& room : answer.rooms)
    rooms.push_back({{"tier", room.tier},
                     {"now", largest_json(room.now)},
                     {"afterPlan", largest_json(room.planned)}});
  return {{"gpus", answer.gpus},
          {"closed", answer.closed},
          {"now", serving_json(answer, answer.now)},
          {"afterPlan", answer.planned ? serving_json(answer, *answer.planned) : Json(nullptr)},
          {"largest", std::move(rooms)}};
}

Json added_json(const CapacityAnswer& answer, const catalog::Catalog& catalog) {
  if (!answer.added) return nullptr;
  Json gpus = Json::array();
  for (const auto& one : answer.additions)
    gpus.push_back({{"model", catalog.model(one.model).key}, {"count", one.count}});
  return {{"gpus", std::move(gpus)},
          {"before", serving_json(answer, answer.now)},
          {"after", serving_json(answer, *answer.added)}};
}

Json techniques_json(const CapacityAnswer& answer) {
  Json list = Json::array();
  for (const auto& one : answer.techniques) {
    Json refused = Json::array();
    for (std::size_t l = 0; l < one.refused.size(); ++l)
      if (!one.refused[l].empty()) refused.push_back({{"line", l}, {"why", one.refused[l]}});
    list.push_back({{"technique", to_string(one.technology)},
                    {"model", one.model},
                    {"slots", one.slots},
                    {"alone", sizing_json(one.alone)},
                    {"whole", sizing_json(one.whole)},
                    {"refused", std::move(refused)}});
  }
  return list;
}

}  // namespace

Json capacity_answer_object(const CapacityAnswer& answer, const catalog::Catalog& catalog) {
  Json lines = Json::array();
  for (std::size_t l = 0; l < answer.lines.size(); ++l) lines.push_back(line_json(answer, l));
  return {{"apiVersion", kApiVersion},
          {"kind", "CapacityAnswer"},
          {"demand", std::move(lines)},
          {"models", models_json(answer)},
          {"cheapest", cheapest_json(answer)},
          {"fleet", fleet_json(answer)},
          {"added", added_json(answer, catalog)},
          {"techniques", techniques_json(answer)},
          {"notes", answer.notes}};
}

}  // namespace tessera::wire
