#include "wire/plan_object.h"

#include <bit>
#include <map>

#include "wire/document.h"
#include "wire/slice_json.h"

namespace tessera::wire {
namespace {

using catalog::GpuModel;
using catalog::Layout;
using catalog::ModelIndex;
using planning::StepKind;

/// A whole number where it is one.
Json placement(const GpuModel& model, catalog::InstanceIndex instance) {
  return {{"profile", model.profile_of(instance).name},
          {"start", model.layouts.instance(instance).placement.start}};
}

/// By rising start.
Json placements(const GpuModel& model, Layout layout) {
  std::map<int, Json> sorted;
  for (; layout != 0; layout &= layout - 1) {
    const auto instance = static_cast<catalog::InstanceIndex>(std::countr_zero(layout));
    sorted[model.layouts.instance(instance).placement.start] = placement(model, instance);
  }
  Json list = Json::array();
  for (auto& [start, one] : sorted) list.push_back(std::move(one));
  return list;
}

std::string_view word_of(StepKind kind) {
  switch (kind) {
    case StepKind::kCordon:
      return "cordon";
    case StepKind::kCreate:
      return "create";
    case StepKind::kMove:
      return "move";
    case StepKind::kStop:
      return "stop";
    case StepKind::kStart:
      return "start";
    case StepKind::kDestroy:
      return "destroy";
    case StepKind::kUncordon:
      return "uncordon";
  }
  return "";
}

class PlanPrinter {
 public:
  PlanPrinter(const planning::Problem& problem, const planning::Plan& plan,
              const catalog::Catalog& catalog)
      : problem_(problem), plan_(plan), catalog_(catalog) {}

  Json object() const {
    return {{"apiVersion", kApiVersion},
            {"kind", "Plan"},
            {"served", amount_json(plan_.served)},
            {"servedBound", amount_json(plan_.served_bound)},
            {"moved", amount_json(plan_.moved)},
            {"movedBound", amount_json(plan_.moved_bound)},
            {"changedGpus", plan_.changed},
            {"changedBound", plan_.changed_bound},
            {"proven", plan_.proven},
            {"layouts", layouts()},
            {"classes", classes()},
            {"targets", targets()},
            {"services", services()},
            {"steps", steps()},
            {"forcedRestarts", plan_.change.forced_restarts},
            {"peakExtra", plan_.change.peak_extra}};
  }

 private:
  const GpuModel& model_of(std::size_t of_class) const {
    const std::size_t fleet = problem_.classes.size();
    return catalog_.model(of_class < fleet ? problem_.classes[of_class].state.model
                                           : plan_.change.spare_models[of_class - fleet]);
  }

  Json layouts() const {
    std::map<std::pair<ModelIndex, Layout>, std::int64_t> merged;
    for (const auto& one : plan_.layouts)
      merged[{problem_.classes[one.gpus.of_class].state.model, one.target}] += one.gpus.count;
    Json list = Json::array();
    for (const auto& [key, count] : merged) {
      const GpuModel& model = catalog_.model(key.first);
      list.push_back(
          {{"model", model.key}, {"count", count}, {"placements", placements(model, key.second)}});
    }
    return list;
  }

  Json classes() const {
    Json list = Json::array();
    for (const auto& of : problem_.classes) {
      Json entries = Json::array();
      for (const auto& share : of.entries)
        entries.push_back({{"gpus", share.entry}, {"count", share.count}});
      list.push_back({{"model", catalog_.model(of.state.model).key},
                      {"count", of.count},
                      {"entries", std::move(entries)}});
    }
    for (const ModelIndex model : plan_.change.spare_models)
      list.push_back(
          {{"model", catalog_.model(model).key}, {"count", problem_.spare}, {"spare", true}});
    return list;
  }

  static Json gpus(const planning::Gpus& of) {
    return {{"class", of.of_class}, {"first", of.first}, {"count", of.count}};
  }

  Json targets() const {
    Json list = Json::array();
    for (const auto& one : plan_.layouts) {
      Json target = gpus(one.gpus);
      target["changed"] = one.target != problem_.classes[one.gpus.of_class].state.layout;
      target["placements"] = placements(model_of(one.gpus.of_class), one.target);
      list.push_back(std::move(target));
    }
    return list;
  }

  Json services() const {
    Json list = Json::array();
    for (const auto& one : plan_.services) {
      const GpuModel& model = catalog_.model(one.kind.model);
      list.push_back({{"demand", one.demand},
                      {"model", model.key},
                      {"profile", model.profiles[one.kind.profile].name},
                      {"count", one.items}});
    }
    return list;
  }

  Json steps() const {
    Json list = Json::array();
    for (const planning::Step& step : plan_.change.steps) {
      Json one = {{"do", word_of(step.kind)}, {"gpus", gpus(step.gpus)}};
      if (problem_.max_parallel > 0)
        one["atOnce"] = std::min(problem_.max_parallel, step.gpus.count);
      if (step.instances != 0)
        one["placements"] = placements(model_of(step.gpus.of_class), step.instances);
      if (step.kind == StepKind::kMove) {
        one["to"] = gpus(step.to);
        one["to"]["placement"] = placement(model_of(step.to.of_class), step.to_instance);
      }
      list.push_back(std::move(one));
    }
    return list;
  }

  const planning::Problem& problem_;
  const planning::Plan& plan_;
  const catalog::Catalog& catalog_;
};

}  // namespace

Json plan_object(const planning::Problem& problem, const planning::Plan& plan,
                 const catalog::Catalog& catalog) {
  return PlanPrinter(problem, plan, catalog).object();
}

}  // namespace tessera::wire
