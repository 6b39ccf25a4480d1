#include "wire/plan_resource.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <map>

#include "wire/forecast_object.h"
#include "wire/slice_json.h"

namespace tessera::wire {
namespace {

using catalog::GpuModel;
using catalog::InstanceIndex;
using catalog::Layout;
using control::MoveKind;
using control::MovePhase;
using control::Plan;
using control::PlannedMove;
using fleet::GpuIndex;

/// A whole number where it is one.
class PlanView {
 public:
  PlanView(const control::State& state, const Plan& plan) : state_(state), plan_(plan) {
    // Where a lease begins is the first place it leaves, where it ends the last one it comes to.
    for (const auto& move : plan.moves) {
      auto& way = goes_[move.lease];
      if (!way.begun) way.first = {move.from, move.from_instance};
      way.begun = true;
      way.last = {move.to, move.to_instance};
    }
  }

  Json object() const {
    Json object = envelope("Plan", name_of(plan_.id), spec(), status());
    object["metadata"]["createdAt"] = instant_json(plan_.made);
    object["metadata"]["createdBy"] = plan_.author;
    return object;
  }

 private:
  using Seat = std::pair<GpuIndex, InstanceIndex>;
  struct Way {
    bool begun = false;
    Seat first, last;
  };

  Json spec() const { return {{"maxParallel", plan_.max_parallel}}; }

  Json status() const {
    const auto& figures = plan_.figures;
    return {{"state", to_string(plan_.state)},
            {"reason", plan_.reason ? Json(to_string(*plan_.reason)) : Json(nullptr)},
            {"message", text_or_null(plan_.message)},
            {"revision", plan_.revision},
            {"window", window()},
            {"startedAt", instant_json(plan_.started)},
            {"endedAt", instant_json(plan_.ended)},
            {"served", amount_json(figures.served)},
            {"servedBound", amount_json(figures.served_bound)},
            {"moved", amount_json(figures.moved)},
            {"movedBound", amount_json(figures.moved_bound)},
            {"changedGpus", figures.changed},
            {"changedBound", figures.changed_bound},
            {"proven", figures.proven},
            {"forcedRestarts", figures.forced_restarts},
            {"peakExtra", figures.peak_extra},
            {"solveSeconds", std::chrono::duration<double>(figures.solving).count()},
            {"progress", progress()},
            {"demand", demand()},
            {"gpus", gpus()},
            {"mayRestart", plan_.may_restart},
            {"moves", moves()},
            {"restarts", restarts()},
            {"grants", grants()},
            {"forecast", plan_.forecast ? forecast_json(*plan_.forecast) : Json(nullptr)},
            {"notes", plan_.notes}};
  }

  Json window() const {
    if (plan_.closes == base::Instant{}) return nullptr;
    return {{"opens", base::to_string(plan_.opens)}, {"closes", base::to_string(plan_.closes)}};
  }

  Json progress() const {
    std::int64_t done = 0;
    std::int64_t left_out = 0;
    std::int64_t all = 0;
    for (const auto& move : plan_.moves) {
      if (move.kind == MoveKind::kStop) continue;  // it counts once, when it is started again
      ++all;
      done += move.phase == MovePhase::kDone ? 1 : 0;
      left_out += move.phase == MovePhase::kSkipped || move.phase == MovePhase::kGivenUp ? 1 : 0;
    }
    return {{"moves", all}, {"done", done}, {"skipped", left_out}};
  }

  Json demand() const {
    Json list = Json::array();
    for (const auto& one : plan_.demands)
      list.push_back({{"text", one.text}, {"count", one.count}, {"served", one.served}});
    return list;
  }

  /// Null where the GPU has left the fleet since.
  const GpuModel* model_of(GpuIndex gpu) const {
    if (gpu.value() >= state_.fleet().gpus().size() || !state_.fleet().gpu(gpu).node.valid())
      return nullptr;
    return &state_.catalog().model(state_.fleet().pool_of(gpu).model);
  }

  Json place(GpuIndex gpu, InstanceIndex instance) const {
    const auto* model = model_of(gpu);
    if (model == nullptr || instance >= model->layouts.instances().size())
      return {{"gpu", nullptr}, {"profile", nullptr}, {"start", nullptr}};
    return {{"gpu", state_.fleet().gpu_name(gpu)},
            {"profile", model->profile_of(instance).name},
            {"start", model->layouts.instance(instance).placement.start}};
  }

  Json gpus() const {
    Json list = Json::array();
    for (const auto& planned : plan_.gpus) {
      const auto* model = model_of(planned.gpu);
      if (model == nullptr) continue;
      list.push_back({{"gpu", state_.fleet().gpu_name(planned.gpu)},
                      {"pool", state_.fleet().pool_of(planned.gpu).name},
                      {"model", model->key},
                      {"axis", model->memory_slices},
                      {"changing", state_.fleet().gpu(planned.gpu).changing},
                      {"before", layout(*model, planned, planned.before, false)},
                      {"after", layout(*model, planned, planned.after, true)}});
    }
    return list;
  }

  /// The instances of one GPU by rising start, with who is in each.
  Json layout(const GpuModel& model, const control::PlannedGpu& planned, Layout layout,
              bool after) const {
    std::map<int, Json> sorted;
    for (; layout != 0; layout &= layout - 1) {
      const auto instance = static_cast<InstanceIndex>(std::countr_zero(layout));
      if (instance >= model.layouts.instances().size()) continue;
      const auto placement = model.layouts.instance(instance).placement;
      Json one = {{"profile", model.profile_of(instance).name},
                  {"start", placement.start},
                  {"size", placement.size}};
      one.update(tenant(planned, instance, after));
      sorted[placement.start] = std::move(one);
    }
    Json list = Json::array();
    for (auto& [start, one] : sorted) list.push_back(std::move(one));
    return list;
  }

  /// "leased" with the lease where it moves, "planned" for a request, "free".
  Json tenant(const control::PlannedGpu& planned, InstanceIndex instance, bool after) const {
    const Seat seat{planned.gpu, instance};
    for (const auto& [lease, way] : goes_)
      if ((after ? way.last : way.first) == seat)
        return {{"use", "leased"}, {"lease", name_of_lease(lease)}};
    const bool leaves = after && std::ranges::any_of(goes_, [&](const auto& entry) {
                          return entry.second.first == seat;
                        });
    if (!leaves && (planned.leased & catalog::bit(instance)) != 0) return {{"use", "leased"}};
    if (after)
      for (const auto& grant : plan_.grants)
        if (std::ranges::count(grant.seats(), control::Seat{planned.gpu, instance}) != 0)
          return {{"use", "planned"}, {"request", "req-" + std::to_string(grant.request.value())}};
    return {{"use", "free"}};
  }

  static std::string name_of_lease(fleet::LeaseId id) {
    return "lease-" + std::to_string(id.value());
  }

  Json moves() const {
    Json list = Json::array();
    for (const auto& move : plan_.moves)
      if (move.kind == MoveKind::kMove) list.push_back(way_of(move));
    return list;
  }

  /// Whose slice is given up, and where the request gets another.
  Json restarts() const {
    Json list = Json::array();
    for (const auto& move : plan_.moves) {
      if (move.kind != MoveKind::kStart) continue;
      const auto& stop = control::stop_of(plan_, move);
      Json one = way_of(move);
      one["notBefore"] = instant_json(stop.not_before);
      one["state"] = restart_state(stop, move);
      one["newLease"] = move.anew.valid() ? Json(name_of_lease(move.anew)) : Json(nullptr);
      list.push_back(std::move(one));
    }
    return list;
  }

  static std::string_view restart_state(const PlannedMove& stop, const PlannedMove& start) {
    if (start.phase != MovePhase::kWaiting) return to_string(start.phase);
    return stop.phase == MovePhase::kWaiting ? to_string(stop.phase) : "stopped";
  }

  Json way_of(const PlannedMove& move) const {
    const auto* lease = state_.find(move.lease);
    return {{"lease", name_of_lease(move.lease)},
            {"team", lease != nullptr ? Json(lease->team) : Json(nullptr)},
            {"from", place(move.from, move.from_instance)},
            {"to", place(move.to, move.to_instance)},
            {"state", to_string(move.phase)}};
  }

  Json grants() const {
    Json list = Json::array();
    for (const auto& grant : plan_.grants) {
      for (const auto& seat : grant.seats()) {
        Json one = place(seat.gpu, seat.instance);
        one["request"] = "req-" + std::to_string(grant.request.value());
        list.push_back(std::move(one));
      }
    }
    return list;
  }

  const control::State& state_;
  const Plan& plan_;
  std::map<fleet::LeaseId, Way> goes_;
};

}  // namespace

Json plan_resource(const control::State& state, const Plan& plan) {
  return PlanView(state, plan).object();
}

std::string name_of(control::PlanId id) {
  return id.valid() ? "plan-" + std::to_string(id.value()) : std::string();
}

std::optional<control::PlanId> plan_id_from(std::string_view name) {
  constexpr std::string_view kPrefix = "plan-";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  std::uint64_t number = 0;
  const auto [next, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || next != name.data() + name.size() || number == 0 ||
      name.front() == '0')
    return std::nullopt;
  return control::PlanId(number);
}

}  // namespace tessera::wire
