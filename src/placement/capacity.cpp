#include "placement/capacity.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace tessera::placement {
namespace {

using base::MiB;
using base::MilliShare;
using catalog::GpuModel;
using catalog::InstanceIndex;
using catalog::Layout;
using catalog::Technology;
using fleet::Occupancy;
using fleet::Pool;
using tenancy::Tier;

/// Depth-first over the instances that are large enough; they are few (at most 25 on any model,
/// and a handful from 2g upwards).
class BestInstances {
 public:
  BestInstances(const GpuModel& model, MiB slot) : model_(model) {
    for (std::size_t i = 0; i < model.layouts.instances().size(); ++i) {
      const auto instance = static_cast<InstanceIndex>(i);
      const auto& profile = model.profile_of(instance);
      if (profile.plain() && profile.memory && *profile.memory >= slot)
        suitable_ |= catalog::bit(instance);
    }
  }

  std::vector<InstanceIndex> search(Layout held) {
    extend(held, 0, {}, 0);
    std::vector<InstanceIndex> found;
    for (Layout rest = best_; rest != 0; rest &= rest - 1)
      found.push_back(static_cast<InstanceIndex>(std::countr_zero(rest)));
    return found;
  }

 private:
  void extend(Layout layout, Layout chosen, base::Sms sms, InstanceIndex from) {
    const auto value = std::tuple(std::popcount(chosen), sms);
    if (value > best_value_) best_value_ = value, best_ = chosen;
    Layout next = model_.layouts.addable(layout) & suitable_ & ~((catalog::bit(from)) - 1);
    // Even taking every remaining instance would not reach the best count.
    if (std::popcount(chosen) + std::popcount(next) < std::get<0>(best_value_)) return;
    for (; next != 0; next &= next - 1) {
      const auto instance = static_cast<InstanceIndex>(std::countr_zero(next));
      const auto gain = model_.profile_of(instance).sms.value_or(
          base::Sms(model_.profile_of(instance).compute_slices));
      extend(layout | catalog::bit(instance), chosen | catalog::bit(instance), sms + gain,
             instance);
    }
  }

  const GpuModel& model_;
  Layout suitable_ = 0;
  Layout best_ = 0;
  std::tuple<int, base::Sms> best_value_{0, base::Sms(0)};
};

/// Counts slots of one tier on GPUs of one pool, with one technology.
class SlotCounter {
 public:
  SlotCounter(const Tier& tier, const Pool& pool, const GpuModel& model, Technology technology)
      : tier_(tier), pool_(pool), model_(model), technology_(technology) {
    if (technology == Technology::kVgpu) {
      for (std::size_t i = 0; i < model.vgpu_types.size(); ++i) {
        const auto& type = model.vgpu_types[i];
        if (type.framebuffer < tier.slot) continue;
        if (!vgpu_ || type.framebuffer < model.vgpu_types[*vgpu_].framebuffer) vgpu_ = i;
      }
    }
  }

  SlotMix on(const Occupancy& occupancy) const {
    if (!occupancy.empty() && occupancy.technology != technology_) return {};
    switch (technology_) {
      case Technology::kMig:
        return mig(occupancy);
      case Technology::kTimeSlicing:
        return shares(occupancy);
      case Technology::kVgpu:
        return vgpus(occupancy);
      case Technology::kWhole:
        return whole(occupancy);
    }
    return {};
  }

 private:
  SlotMix mig(const Occupancy& occupancy) const {
    SlotMix found;
    const auto add = [&](InstanceIndex instance) {
      found.add(model_.profile_of(instance).name, 1);
    };
    if (!pool_.fixed()) {
      for (const auto instance : best_instances(model_, occupancy.held, tier_.slot)) add(instance);
      return found;
    }
    for (Layout rest = pool_.static_layout & ~occupancy.held; rest != 0; rest &= rest - 1) {
      const auto instance = static_cast<InstanceIndex>(std::countr_zero(rest));
      const auto memory = model_.profile_of(instance).memory;
      if (memory && *memory >= tier_.slot) add(instance);
    }
    return found;
  }

  /// A slot of a time-sliced tier is one tenant with a whole GPU's compute to take turns on.
  SlotMix shares(const Occupancy& occupancy) const {
    SlotMix found;
    if (pool_.fixed()) return found;
    Occupancy filled = occupancy;
    const MiB memory(std::min(tier_.slot.count(), model_.memory.count() / tier_.oversubscription));
    const Candidate slot{.technology = Technology::kTimeSlicing,
                         .share = tier_.share_of(memory, MilliShare(1000))};
    while (const auto next = fit(model_, pool_, filled, slot)) {
      filled = with(filled, *next);
      found.add(fleet::profile_name(next->shape, model_), 1);
    }
    return found;
  }

  SlotMix vgpus(const Occupancy& occupancy) const {
    SlotMix found;
    if (!vgpu_ || pool_.fixed()) return found;
    if (!occupancy.empty() && occupancy.vgpu_type != *vgpu_) return found;
    const auto& type = model_.vgpu_types[*vgpu_];
    if (const int left = type.max_per_gpu - occupancy.tenants; left > 0) found.add(type.name, left);
    return found;
  }

  SlotMix whole(const Occupancy& occupancy) const {
    SlotMix found;
    if (occupancy.empty() && !pool_.fixed() && model_.memory >= tier_.slot) found.add("whole", 1);
    return found;
  }

  const Tier& tier_;
  const Pool& pool_;
  const GpuModel& model_;
  Technology technology_;
  std::optional<std::size_t> vgpu_;
};

/// The tier's first technology that the pool offers and that keeps the tier's promise.
std::optional<Technology> first_technology(const Tier& tier, const Pool& pool) {
  for (const auto technology : tier.technologies)
    if (pool.offers(technology) && tier.isolation_with(technology)) return technology;
  return std::nullopt;
}

std::string note_of(const TierCapacity& tier) {
  std::string note;
  const auto say = [&](const std::string& text) { note += (note.empty() ? "" : "; ") + text; };
  for (const auto& pool : tier.pools) {
    if (pool.technology == Technology::kMig && pool.potential.mix.size() > 1) {
      std::string parts;
      for (auto it = pool.potential.mix.rbegin(); it != pool.potential.mix.rend(); ++it)
        parts += (parts.empty() ? "" : " + ") + std::to_string(it->second) + " x " + it->first;
      say(pool.pool + ": " + std::to_string(pool.potential.slots) + " = " + parts +
          ", because a GPU has room for one of the larger kind beside the other: slots have the "
          "same memory class, not the same SMs");
    }
    if (pool.technology == Technology::kTimeSlicing)
      say(pool.pool + ": " + std::to_string(pool.potential.slots) + " tenants take turns on " +
          std::to_string(pool.gpus) + " GPUs");
  }
  return note;
}

}  // namespace

void SlotMix::add(const std::string& profile, int count) {
  slots += count;
  mix[profile] += count;
}

std::vector<InstanceIndex> best_instances(const GpuModel& model, Layout held, MiB slot) {
  return BestInstances(model, slot).search(held);
}

Capacity capacity_of(const catalog::Catalog& catalog, const fleet::Fleet& fleet, const Index& index,
                     const Tiers& tiers, const std::map<std::string, TierUse, std::less<>>& use) {
  Capacity capacity;
  for (std::size_t i = 0; i < fleet.gpus().size(); ++i) {
    if (!fleet.gpus()[i].node.valid()) continue;
    ++capacity.gpus_declared;
    if (index.open(fleet::GpuIndex(i))) ++capacity.gpus_ready;
  }
  for (const auto& [name, tier] : tiers) {
    TierCapacity found{.tier = name, .isolation = tier.isolation, .slot = tier.slot};
    for (std::size_t i = 0; i < fleet.pools().size(); ++i) {
      const auto& pool = fleet.pools()[i];
      if (pool.name.empty() || !pool.carries(name)) continue;
      const auto technology = first_technology(tier, pool);
      if (!technology) continue;
      const auto& model = catalog.model(pool.model);
      const SlotCounter counter(tier, pool, model, *technology);
      PoolCapacity part{.pool = pool.name, .technology = *technology};
      const auto merge = [](SlotMix& into, const SlotMix& from) {
        for (const auto& [profile, count] : from.mix) into.add(profile, count);
      };
      // GPUs in the same state count alike: each occupancy is worked out once.
      const SlotMix per_empty = counter.on(Occupancy{});
      std::map<Occupancy, SlotMix> known;
      for (const auto node : fleet.nodes_of(fleet::PoolIndex(i))) {
        for (const auto gpu : fleet.node(node).gpus) {
          ++part.gpus;
          merge(part.potential, per_empty);
          if (!index.open(gpu)) continue;
          const auto occupancy = fleet::occupancy_of(fleet.gpu(gpu));
          const auto [at, fresh] = known.try_emplace(occupancy);
          if (fresh) at->second = counter.on(occupancy);
          merge(part.free, at->second);
        }
      }
      merge(found.potential, part.potential);
      merge(found.free, part.free);
      found.pools.push_back(std::move(part));
    }
    if (const auto held = use.find(name); held != use.end()) {
      found.used = held->second.cost;
      found.used_slices = held->second.slices;
    }
    found.note = note_of(found);
    capacity.tiers.push_back(std::move(found));
  }
  std::ranges::sort(capacity.tiers, [&](const TierCapacity& a, const TierCapacity& b) {
    return tenancy::lesser(tiers.find(a.tier)->second, tiers.find(b.tier)->second);
  });
  return capacity;
}

}  // namespace tessera::placement
