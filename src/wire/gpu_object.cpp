#include <algorithm>

#include "wire/objects.h"
#include "wire/slice_json.h"

/// The Gpu object: what the console draws to scale. Its axis is the model's memory slices while the
/// GPU is empty, cut by MIG or given out whole; MiB of memory when it is shared, and on models
/// without MIG.
namespace tessera::wire {
namespace {

using catalog::GpuModel;
using catalog::InstanceIndex;
using catalog::Layout;
using catalog::Technology;
using fleet::Gpu;
using fleet::Pool;
using fleet::Slice;

struct Interval {
  std::int64_t start = 0;
  std::int64_t size = 0;
};

/// One GPU with what there is to know about it.
struct View {
  const control::State& state;
  const Gpu& gpu;
  const Pool& pool;
  const GpuModel& model;
};

bool in_memory_slices(const View& view) {
  if (!view.model.mig_capable()) return false;
  if (view.gpu.slices.empty()) return true;
  const Technology technology = technology_of(view.gpu.slices.front().shape);
  return technology == Technology::kMig || technology == Technology::kWhole;
}

/// Where each slice lies. Shares and vGPUs have no place of their own on the hardware; they are
/// drawn one after the other.
std::vector<Interval> places_of(const View& view) {
  std::vector<Interval> places;
  std::int64_t next = 0;
  for (const Slice& slice : view.gpu.slices) {
    Interval place{next, memory_of(slice.shape, view.model).count()};
    if (const auto* mig = std::get_if<fleet::MigSlice>(&slice.shape)) {
      const auto placement = view.model.layouts.instance(mig->instance).placement;
      place = {placement.start, placement.size};
    } else if (std::holds_alternative<fleet::WholeSlice>(slice.shape) && view.model.mig_capable()) {
      place = {0, view.model.memory_slices};
    }
    next = place.start + place.size;
    places.push_back(place);
  }
  return places;
}

/// Neighbouring cells with the same mark, as intervals.
std::vector<Interval> runs_of(const std::vector<bool>& marked) {
  std::vector<Interval> runs;
  for (std::size_t i = 0; i < marked.size(); ++i) {
    if (!marked[i]) continue;
    if (i == 0 || !marked[i - 1]) runs.push_back({static_cast<std::int64_t>(i), 0});
    ++runs.back().size;
  }
  return runs;
}

/// What is left of the axis: parts where something can still be made, and parts where not.
struct Rest {
  std::vector<Interval> free;
  std::vector<Interval> stranded;
};

Rest rest_in_memory_slices(const View& view, const std::vector<Interval>& places) {
  std::vector<bool> taken(static_cast<std::size_t>(view.model.memory_slices));
  for (const Interval& place : places) std::fill_n(taken.begin() + place.start, place.size, true);
  Layout existing = 0;
  for (const Slice& slice : view.gpu.slices)
    if (const auto* mig = std::get_if<fleet::MigSlice>(&slice.shape))
      existing |= catalog::bit(mig->instance);
  const bool fixed = view.pool.fixed();
  Layout possible = view.model.layouts.addable(existing);
  if (fixed) possible &= view.pool.static_layout;
  // An empty GPU may be given out whole or shared, whatever MIG could do with it.
  const bool open = view.gpu.slices.empty() && !fixed;
  std::vector<bool> free(taken.size(), open);
  for (std::size_t i = 0; i < view.model.layouts.instances().size(); ++i) {
    if ((possible & catalog::bit(static_cast<InstanceIndex>(i))) == 0) continue;
    const auto placement = view.model.layouts.instances()[i].placement;
    std::fill_n(free.begin() + placement.start, placement.size, true);
  }
  std::vector<bool> stranded(taken.size());
  for (std::size_t i = 0; i < taken.size(); ++i) {
    free[i] = free[i] && !taken[i];
    stranded[i] = !taken[i] && !free[i];
  }
  return {runs_of(free), runs_of(stranded)};
}

/// Of a shared GPU: memory is of use only as long as there is compute time to go with it.
Rest rest_in_memory(const View& view, const std::vector<Interval>& places) {
  const std::int64_t used = places.empty() ? 0 : places.back().start + places.back().size;
  const Interval left{used, view.model.memory.count() - used};
  if (left.size <= 0) return {};
  const auto occupancy = occupancy_of(view.gpu);
  const bool shared = occupancy.technology == Technology::kTimeSlicing && !occupancy.empty();
  const bool no_time =
      shared && occupancy.share_compute.count() >= std::int64_t{1000} * occupancy.share_ceiling;
  const bool whole = occupancy.technology == Technology::kWhole && !occupancy.empty();
  if (whole) return {};
  return no_time ? Rest{{}, {left}} : Rest{{left}, {}};
}

Json intervals_json(const std::vector<Interval>& intervals) {
  Json list = Json::array();
  for (const Interval& interval : intervals)
    list.push_back({{"start", interval.start}, {"size", interval.size}});
  return list;
}

/// Percent of the GPU's compute, to one decimal; a share counts what it was promised.
Json compute_percent(const fleet::SliceShape& shape, const GpuModel& model) {
  std::int64_t tenths = cost_of(shape, model).compute.count() * 1000 / base::kWholeGpu.count();
  if (const auto* share = std::get_if<fleet::ShareSlice>(&shape)) tenths = share->compute.count();
  if (tenths % 10 == 0) return tenths / 10;
  return static_cast<double>(tenths) / 10;
}

Json slice_status(const View& view, const Slice& slice, Interval place) {
  Json json = slice_json(slice.shape, view.model);
  json["generation"] = slice.generation;
  json["phase"] = to_string(slice.phase);
  json["start"] = place.start;
  json["size"] = place.size;
  json["compute"] = compute_percent(slice.shape, view.model);
  json["device"] = text_or_null(slice.device);
  json["lease"] = text_or_null(name_of(slice.holder));
  const auto* lease = slice.holder.valid() ? view.state.find(slice.holder) : nullptr;
  json["team"] = lease != nullptr ? Json(lease->team) : Json(nullptr);
  json["tier"] = lease != nullptr ? Json(lease->tier) : Json(nullptr);
  return json;
}

std::string_view gpu_state(const fleet::Node& node, const Gpu& gpu) {
  if (node.phase != fleet::NodePhase::kReady) return "away";
  if (node.cordoned) return "cordoned";
  return gpu.changing ? "changing" : "ready";
}

}  // namespace

Json gpu_object(const control::State& state, fleet::GpuIndex index) {
  const fleet::Gpu& gpu = state.fleet().gpu(index);
  const fleet::Node& node = state.fleet().node(gpu.node);
  const fleet::Pool& pool = state.fleet().pool(node.pool);
  const View view{state, gpu, pool, state.catalog().model(pool.model)};
  const bool cells = in_memory_slices(view);
  const auto places = places_of(view);
  const Rest rest = cells ? rest_in_memory_slices(view, places) : rest_in_memory(view, places);
  Json slices = Json::array();
  for (std::size_t i = 0; i < places.size(); ++i)
    slices.push_back(slice_status(view, gpu.slices[i], places[i]));
  const Json technology =
      gpu.slices.empty() ? Json(nullptr) : Json(to_string(technology_of(gpu.slices.front().shape)));
  return envelope(
      "Gpu", state.fleet().gpu_name(index),
      {{"node", node.name}, {"pool", pool.name}, {"model", view.model.key}, {"number", gpu.number}},
      {{"uuid", text_or_null(gpu.uuid)},
       {"health", to_string(gpu.health)},
       {"detail", gpu.health_detail},
       {"state", gpu_state(node, gpu)},
       {"technology", technology},
       {"memory", base::to_string(view.model.memory)},
       {"memorySlices", view.model.memory_slices},
       {"computeSlices", view.model.compute_slices},
       {"axis", cells ? "memory-slices" : "MiB"},
       {"slices", std::move(slices)},
       {"free", intervals_json(rest.free)},
       {"stranded", intervals_json(rest.stranded)}});
}

}  // namespace tessera::wire
