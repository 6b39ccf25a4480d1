#include "wire/fleet_lists.h"

#include <algorithm>
#include <map>
#include <set>

#include "fleet/gpu.h"
#include "wire/decode_spec.h"
#include "wire/decoder.h"
#include "wire/document.h"

namespace tessera::wire {
namespace {

using catalog::GpuModel;
using catalog::Technology;
using control::FleetAtHand;
using control::GpuSituation;

constexpr std::int64_t kMostMemorySlices = 64;

/// One slice of a Gpu object.
struct SeenSlice {
  std::string phase, profile, lease, tier;
  Technology technology{};
  std::int64_t start = 0;
  base::MiB memory;
  std::int64_t tenths = 0;  ///< of a percent of compute
};

class FleetReader {
 public:
  FleetReader(const FleetLists& lists, const catalog::Catalog& catalog)
      : lists_(lists), catalog_(catalog), decoder_("the control plane's answer") {}

  base::Result<FleetAtHand> read() {
    for (const Json* list : {&lists_.tiers, &lists_.pools})
      for (const Json& item : *list) {
        auto declared = decode_document(item.dump(), catalog_);
        if (!declared) return std::unexpected(declared.error());
        if (auto* tier = std::get_if<tenancy::Tier>(&*declared)) {
          const std::string name = tier->name;
          at_hand_.tiers.emplace(name, std::move(*tier));
        } else if (auto* pool = std::get_if<fleet::Pool>(&*declared)) {
          at_hand_.fleet.put_pool(std::move(*pool));
        }
      }
    each(lists_.requests, [&](Fields& request) { read_request(request); });
    each(lists_.leases, [&](Fields& lease) { read_lease(lease); });
    each(lists_.gpus, [&](Fields& gpu) { read_gpu(gpu); });
    if (!decoder_.ok()) return decoder_.error();
    for (const auto& [situation, count] : counts_) at_hand_.gpus.push_back({situation, count});
    return std::move(at_hand_);
  }

 private:
  /// Keys that are not asked for may be there: a newer control plane says more.
  template <class Read>
  void each(const Json& list, Read read) {
    for (const Json& item : list) {
      const auto value = parse_json(item.dump(), {});
      if (!value) return decoder_.refuse(0, {}, value.error());
      Fields fields(*value, {}, decoder_);
      read(fields);
      if (!decoder_.ok()) return;
    }
  }

  /// A map inside a map.
  template <class Read>
  void inside(Fields& parent, std::string_view key, Read read) {
    const Value* value = parent.take(key);
    if (value == nullptr)
      return decoder_.refuse(parent.line(), parent.path_of(key), "it is missing",
                             "use a tessera of the control plane's version");
    Fields fields(*value, parent.path_of(key), decoder_);
    read(fields);
  }

  static std::string name_in(Fields& object, Decoder& decoder) {
    std::string name;
    if (const Value* metadata = object.take("metadata")) {
      Fields fields(*metadata, "metadata", decoder);
      fields.text("name", name);
    }
    return name;
  }

  void read_request(Fields& request) {
    const std::string name = name_in(request, decoder_);
    base::MilliCpu cpu;
    base::MiB memory;
    inside(request, "spec", [&](Fields& spec) {
      spec.cpu("cpu", cpu);
      spec.memory("hostMemory", memory);
    });
    if (cpu.count() == 0 && memory.count() == 0) hostless_.insert(name);
  }

  void read_lease(Fields& lease) {
    const std::string name = name_in(lease, decoder_);
    std::string request, state;
    std::size_t slices = 0;
    inside(lease, "spec", [&](Fields& spec) { spec.text("request", request); });
    inside(lease, "status", [&](Fields& status) {
      status.text("state", state);
      const Value* list = status.take("slices");
      if (list != nullptr && decoder_.expect(*list, "status.slices", ValueKind::kList))
        slices = list->items.size();
    });
    if (state == "active" && slices == 1 && hostless_.contains(request)) movable_.insert(name);
  }

  void read_gpu(Fields& gpu) {
    std::string pool_name, state, health;
    inside(gpu, "spec", [&](Fields& spec) { spec.text("pool", pool_name); });
    const auto pool = at_hand_.fleet.find_pool(pool_name);
    if (!pool)
      return decoder_.refuse(gpu.line(), "spec.pool", "there is no pool \"" + pool_name + "\"",
                             "ask again: it may have been removed just now");
    GpuSituation situation{.pool = *pool, .occupancy = {}, .pinned = 0};
    inside(gpu, "status", [&](Fields& status) {
      status.text("state", state);
      status.text("health", health);
      const Value* slices = status.take("slices");
      if (slices == nullptr || !decoder_.expect(*slices, "status.slices", ValueKind::kList)) return;
      for (std::size_t i = 0; i < slices->items.size() && decoder_.ok(); ++i)
        add_slice(read_slice(slices->items[i], item_path("status.slices", i)), situation);
    });
    if (!decoder_.ok()) return;
    if (state != "ready" || health != "healthy")
      ++at_hand_.closed;
    else
      ++counts_[situation];
  }

  SeenSlice read_slice(const Value& value, const Path& path) {
    SeenSlice slice;
    Fields fields(value, path, decoder_);
    fields.text("phase", slice.phase);
    fields.text("profile", slice.profile);
    fields.choice("technology", kTechnologies, slice.technology);
    fields.memory("memory", slice.memory);
    if (slice.technology == Technology::kMig)
      fields.whole("start", 0, kMostMemorySlices, slice.start);
    if (const Value* compute = fields.take("compute"))
      decoder_.decimal(*compute, fields.path_of("compute"), 1, 1000, slice.tenths);
    text_or_none(value, "lease", slice.lease);
    text_or_none(value, "tier", slice.tier);
    return slice;
  }

  /// What nobody holds has neither lease nor tier: null, which Fields would refuse.
  static void text_or_none(const Value& map, std::string_view key, std::string& out) {
    const Value* value = map.find(key);
    if (value != nullptr && value->kind == ValueKind::kText) out = value->text;
  }

  void add_slice(const SeenSlice& slice, GpuSituation& situation) {
    if (!decoder_.ok()) return;
    const GpuModel& model = catalog_.model(at_hand_.fleet.pool(situation.pool).model);
    auto& occupancy = situation.occupancy;
    if (slice.technology == Technology::kMig) {
      const auto instance = model.find_instance(slice.profile, static_cast<int>(slice.start));
      if (!instance)
        return decoder_.refuse(
            0, "status.slices",
            model.key + " has no " + slice.profile + " at " + std::to_string(slice.start),
            "use a tessera of the control plane's version");
      const auto bit = catalog::bit(*instance);
      if (slice.phase == "idle") {
        occupancy.idle |= bit;
        return;
      }
      occupancy.add(fleet::MigSlice{*instance});
      if (!movable(slice)) situation.pinned |= bit;
      return;
    }
    if (slice.phase == "idle") return;
    if (slice.technology == Technology::kWhole) return occupancy.add(fleet::WholeSlice{});
    if (slice.technology == Technology::kVgpu) return add_vgpu(slice, model, occupancy);
    add_share(slice, occupancy);
  }

  bool movable(const SeenSlice& slice) const {
    const auto tier = at_hand_.tiers.find(slice.tier);
    return slice.phase == "in-use" && tier != at_hand_.tiers.end() && tier->second.movable &&
           movable_.contains(slice.lease) && !slice.lease.empty();
  }

  void add_vgpu(const SeenSlice& slice, const GpuModel& model, fleet::Occupancy& occupancy) {
    const auto type = std::ranges::find(model.vgpu_types, slice.profile, &catalog::VgpuType::name);
    if (type == model.vgpu_types.end())
      return decoder_.refuse(0, "status.slices", model.key + " has no vGPU type " + slice.profile,
                             "use a tessera of the control plane's version");
    occupancy.add(fleet::VgpuSlice{static_cast<std::uint16_t>(type - model.vgpu_types.begin())});
  }

  void add_share(const SeenSlice& slice, fleet::Occupancy& occupancy) {
    const auto tier = at_hand_.tiers.find(slice.tier);
    // Of a tier that is gone: as strict as can be.
    const tenancy::Tier strict{.isolation = catalog::Isolation::kLimited, .max_tenants = 1};
    const auto& terms = tier == at_hand_.tiers.end() ? strict : tier->second;
    occupancy.add(terms.share_of(slice.memory, base::MilliShare(slice.tenths)));
  }

  const FleetLists& lists_;
  const catalog::Catalog& catalog_;
  Decoder decoder_;
  FleetAtHand at_hand_;
  std::set<std::string> hostless_;  ///< requests that asked for no part of a host
  std::set<std::string> movable_;   ///< leases that could move where their tier lets them
  std::map<GpuSituation, std::int64_t> counts_;
};

}  // namespace

base::Result<FleetAtHand> read_fleet(const FleetLists& lists, const catalog::Catalog& catalog) {
  return FleetReader(lists, catalog).read();
}

}  // namespace tessera::wire
