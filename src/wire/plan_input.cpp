#include "wire/plan_input.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <set>

#include "wire/decode_spec.h"
#include "wire/decoder.h"
#include "wire/document.h"
#include "wire/text.h"
#include "wire/wished_demand.h"

namespace tessera::wire {
namespace {

using catalog::GpuModel;
using catalog::Layout;
using enum Presence;

constexpr std::size_t kMostEntries = 200'000;
constexpr std::size_t kMostDemandEntries = 10'000;
constexpr std::int64_t kMostGpus = 10'000'000;
constexpr std::int64_t kMostItemsOfInput = 100'000'000;

/// One `slices` item, read.
struct SliceEntry {
  catalog::InstanceIndex instance = 0;
  bool free = false;
  bool movable = true;
  std::int64_t weight = planning::kUnit;
};

class PlanReader {
 public:
  PlanReader(Decoder& decoder, const catalog::Catalog& catalog)
      : decoder_(decoder), catalog_(catalog) {}

  PlanInput read(const Value& value) {
    Fields document(value, "", decoder_);
    std::string version(kApiVersion), kind = "PlanInput";
    document.text("apiVersion", version);
    document.text("kind", kind);
    document.ignore("metadata");
    if (kind != "PlanInput")
      decoder_.refuse(value.line, "kind", "\"" + clip(kind) + "\" is not a PlanInput",
                      "write kind: PlanInput");
    if (version != kApiVersion)
      decoder_.refuse(value.line, "apiVersion",
                      "\"" + clip(version) + "\" is not a version known here",
                      "write " + std::string(kApiVersion));
    if (const Value* spec = document.take("spec", kRequired)) read_spec(*spec);
    document.finish();
    return std::move(input_);
  }

 private:
  void read_spec(const Value& value) {
    Fields spec(value, "spec", decoder_);
    if (const Value* gpus = spec.take("gpus", kRequired)) read_gpus(*gpus);
    if (const Value* demand = spec.take("demand")) read_demands(*demand);
    spec.whole("spareGpus", 0, kMostGpus, input_.problem.spare);
    spec.whole("maxParallel", 1, kMostGpus, input_.problem.max_parallel);
    spec.finish();
  }

  bool list_within(const Value& value, const Path& path, std::size_t most) {
    if (!decoder_.expect(value, path, ValueKind::kList)) return false;
    if (value.items.size() > most)
      decoder_.refuse(value.line, path,
                      "this list has " + std::to_string(value.items.size()) +
                          " entries, more than " + std::to_string(most),
                      "merge equal ones with count", base::Reason::kTooLarge);
    return decoder_.ok();
  }

  void read_gpus(const Value& list) {
    if (!list_within(list, "spec.gpus", kMostEntries)) return;
    if (list.items.empty())
      return decoder_.refuse(list.line, "spec.gpus", "there is no GPU to plan for", "list some");
    std::vector<planning::GpuState> states;
    std::vector<std::int64_t> counts;
    for (std::size_t i = 0; i < list.items.size() && decoder_.ok(); ++i)
      read_gpu(list.items[i], item_path("spec.gpus", i), states, counts);
    if (decoder_.ok()) input_.problem.classes = planning::merge(states, counts);
  }

  void read_gpu(const Value& value, const Path& path, std::vector<planning::GpuState>& states,
                std::vector<std::int64_t>& counts) {
    Fields gpu(value, path, decoder_);
    planning::GpuState state;
    std::int64_t count = 1;
    const Value* model = gpu.take("model", kRequired);
    if (model != nullptr)
      read_model(decoder_, *model, member_path(path, "model"), catalog_, state.model);
    gpu.whole("count", 1, kMostGpus, count);
    const Value* slices = gpu.take("slices");
    gpu.finish();
    if (!decoder_.ok()) return;
    if (!catalog_.model(state.model).mig_capable())
      return decoder_.refuse(model->line, member_path(path, "model"),
                             catalog_.model(state.model).key + " has no MIG, so no layouts to plan",
                             "leave it out");
    if (slices != nullptr) read_slices(*slices, member_path(path, "slices"), state);
    if (!decoder_.ok()) return;
    if ((gpus_ += count) > kMostGpus)
      return decoder_.refuse(value.line, member_path(path, "count"),
                             "more than " + std::to_string(kMostGpus) + " GPUs",
                             "plan fewer at once", base::Reason::kTooLarge);
    std::int64_t weight = 0;
    for (const std::int64_t one : state.weights) weight += one;
    add_up(weights_, weight, count, value.line, member_path(path, "slices"), "weights");
    states.push_back(std::move(state));
    counts.push_back(count);
  }

  void add_up(std::int64_t& sum, std::int64_t each, std::int64_t count, int line, const Path& path,
              const std::string& what) {
    std::int64_t all = 0;
    if (!__builtin_mul_overflow(each, count, &all) && !__builtin_add_overflow(sum, all, &sum) &&
        sum <= planning::kLargestSum)
      return;
    decoder_.refuse(line, path,
                    "the " + what + " add up to more than " +
                        std::to_string(planning::kLargestSum / planning::kUnit),
                    "use smaller ones; only their proportions matter", base::Reason::kTooLarge);
  }

  void read_slices(const Value& list, const Path& path, planning::GpuState& state) {
    constexpr std::size_t kMostSlices = 64;
    if (!list_within(list, path, kMostSlices)) return;
    const GpuModel& model = catalog_.model(state.model);
    std::vector<std::pair<catalog::InstanceIndex, std::int64_t>> weights;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      const Path at = item_path(path, i);
      const SliceEntry slice = read_slice(list.items[i], at, model);
      if (!decoder_.ok()) return;
      refuse_clash(list.items[i].line, at, model, state.layout, slice.instance);
      const Layout one = catalog::bit(slice.instance);
      state.layout |= one;
      if (!slice.free) state.leased |= one;
      if (!slice.free && !slice.movable) state.pinned |= one;
      if (!slice.free && slice.movable) weights.emplace_back(slice.instance, slice.weight);
    }
    std::ranges::sort(weights);
    for (const auto& [instance, weight] : weights) state.weights.push_back(weight);
  }

  SliceEntry read_slice(const Value& value, const Path& path, const GpuModel& model) {
    SliceEntry slice;
    Fields fields(value, path, decoder_);
    std::string profile;
    int start = 0;
    fields.text("profile", profile, kRequired);
    fields.whole("start", 0, 63, start, kRequired);
    if (const Value* free = fields.take("free"))
      decoder_.flag(*free, fields.path_of("free"), slice.free);
    if (const Value* movable = fields.take("movable"))
      decoder_.flag(*movable, fields.path_of("movable"), slice.movable);
    if (const Value* weight = fields.take("weight"))
      decoder_.decimal(*weight, fields.path_of("weight"), kValueDecimals, kHighestValue,
                       slice.weight);
    fields.finish();
    if (!decoder_.ok()) return slice;
    if (slice.free && !slice.movable)
      decoder_.refuse(value.line, member_path(path, "movable"),
                      "a free slice has no lease that could be pinned",
                      "remove movable, or free: true");
    const auto instance = model.find_instance(profile, start);
    if (!instance) refuse_place(value.line, path, model, profile, start);
    slice.instance = instance.value_or(0);
    return slice;
  }

  void refuse_place(int line, const Path& path, const GpuModel& model, const std::string& profile,
                    int start) {
    const auto known = model.find_profile(profile);
    if (!known) {
      std::vector<std::string_view> names;
      for (const auto& one : model.profiles) names.push_back(one.name);
      const auto near = nearest(profile, names);
      return decoder_.refuse(line, member_path(path, "profile"),
                             model.key + " has no profile \"" + clip(profile) + "\"",
                             near ? "did you mean \"" + std::string(*near) + "\"?"
                                  : "its profiles are " + join(names));
    }
    std::string starts;
    for (const auto placement : model.profiles[*known].placements)
      starts += (starts.empty() ? "" : ", ") + std::to_string(placement.start);
    decoder_.refuse(line, member_path(path, "start"),
                    profile + " cannot start at " + std::to_string(start), "it can at " + starts,
                    base::Reason::kInvalidLayout);
  }

  void refuse_clash(int line, const Path& path, const GpuModel& model, Layout before,
                    catalog::InstanceIndex added) {
    if ((before & catalog::bit(added)) == 0 && model.layouts.legal(before | catalog::bit(added)))
      return;
    const bool overlap = (model.layouts.conflicts(added) & before) != 0;
    decoder_.refuse(line, path,
                    overlap ? "this slice overlaps another one of the same GPU"
                            : "there are more slices of this profile than a GPU can hold",
                    "list what the GPU really has", base::Reason::kInvalidLayout);
  }

  void read_demands(const Value& list) {
    if (!list_within(list, "spec.demand", kMostDemandEntries)) return;
    for (std::size_t i = 0; i < list.items.size() && decoder_.ok(); ++i)
      read_demand(list.items[i], item_path("spec.demand", i));
  }

  void read_demand(const Value& value, const Path& path) {
    const auto wish = read_wished_demand(decoder_, value, path, kMostItemsOfInput);
    if (!decoder_.ok()) return;
    planning::Demand demand{.kinds = kinds_of(wish), .value = wish.value, .count = wish.count};
    const bool by_memory = wish.profile.empty();
    if (demand.kinds.empty())
      return decoder_.refuse(
          value.line, member_path(path, by_memory ? "memory" : "profile"),
          by_memory ? "no profile of any GPU model has that much" : "no GPU model has this profile",
          "ask for less, or for a profile of a model that is listed", base::Reason::kNeverFits);
    add_up(values_, demand.value, demand.count, value.line, path, "values");
    input_.demand_names.push_back(std::to_string(demand.count) + " x " + to_string(wish));
    input_.problem.demands.push_back(std::move(demand));
  }

  std::vector<planning::Kind> kinds_of(const control::WishedDemand& wish) const {
    std::vector<planning::Kind> kinds;
    for (std::size_t m = 0; m < catalog_.models().size(); ++m) {
      const auto& profiles = catalog_.models()[m].profiles;
      for (std::size_t p = 0; p < profiles.size(); ++p)
        if (serves(profiles[p], wish))
          kinds.push_back({catalog::ModelIndex(m), static_cast<std::uint16_t>(p)});
    }
    return kinds;
  }

  Decoder& decoder_;
  const catalog::Catalog& catalog_;
  PlanInput input_;
  std::int64_t gpus_ = 0;
  std::int64_t weights_ = 0;
  std::int64_t values_ = 0;
};

}  // namespace

base::Result<PlanInput> decode_plan_input(std::string_view text, const std::string& source,
                                          const catalog::Catalog& catalog, Limits limits) {
  const auto values = parse(text, source, limits);
  if (!values) return std::unexpected(values.error());
  if (values->size() != 1)
    return base::fail(base::Reason::kInvalidDocument,
                      "there are " + std::to_string(values->size()) + " documents, expected one",
                      source, "write exactly one PlanInput");
  Decoder decoder(source);
  PlanInput input = PlanReader(decoder, catalog).read(values->front());
  if (!decoder.ok()) return decoder.error();
  return input;
}

}  // namespace tessera::wire
