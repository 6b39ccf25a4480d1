#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "base/sorted_set.h"
#include "catalog/gpu_model.h"
#include "fleet/fleet.h"
#include "placement/fit.h"

namespace tessera::placement {

/// GPUs of one pool with equal Occupancy are interchangeable and form a class.
struct GpuClass {
  /// What such a GPU offers a plain MIG profile.
  struct MigOffer {
    std::uint16_t profile = 0;
    std::int64_t room = 0;
    Fit fit;
  };
  fleet::PoolIndex pool;
  fleet::Occupancy occupancy;
  std::int32_t free = 0;             ///< for shares, in thousandths of a GPU
  std::vector<MigOffer> mig_offers;  ///< of the profiles that fit
  base::SortedSet<fleet::GpuIndex> members;

  /// Null if no slice of the profile fits.
  const MigOffer* offer(std::uint16_t profile) const {
    for (const auto& one : mig_offers)
      if (one.profile == profile) return &one;
    return nullptr;
  }
};

/// All GPUs that may take new slices, by class. For each MIG profile the classes are ranked by what
/// placing there would cost in future options, so that picking one costs the same in a fleet of 100
/// and of 100,000.
///
/// Derived data, and a pure function of the fleet: all orders end in comparisons of contents, never
/// of addresses or of the sequence in which classes came to be. A class without members is kept for
/// a while, because on a small fleet the same ones come and go all the time. Movable, not copyable
/// (it points into itself).
class GpuClasses {
 public:
  GpuClasses() = default;
  GpuClasses(GpuClasses&&) = default;
  GpuClasses& operator=(GpuClasses&&) = default;

  /// Files a GPU under what it is now. False if it is there already.
  bool put(fleet::GpuIndex gpu, fleet::PoolIndex pool_index, const fleet::Occupancy& occupancy,
           const catalog::GpuModel& model, const fleet::Pool& pool);
  /// Takes a GPU out. False if it was not there.
  bool remove(fleet::GpuIndex gpu);
  /// Forgets the classes of a pool, none of whose GPUs may be filed: its rules have changed.
  void forget(fleet::PoolIndex pool);

  /// The class of a GPU that may take new slices; null for all others.
  const GpuClass* of(fleet::GpuIndex gpu) const {
    return gpu.value() < gpus_.size() ? gpus_[gpu.value()] : nullptr;
  }
  /// The best GPU for one slice by MIG or vGPU.
  std::optional<Pick> pick(const catalog::GpuModel& model, const fleet::Pool& pool,
                           const Candidate& candidate) const;

  /// Classes that have members: what the cost of picking depends on.
  std::size_t size() const { return classes_.size() - vacant_; }

 private:
  struct Key {
    fleet::PoolIndex pool;
    fleet::Occupancy occupancy;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  /// A class in an order: lower rank is taken first, ties by contents.
  struct Ranked {
    std::int64_t rank = 0;
    const GpuClass* members = nullptr;
    friend auto operator<=>(const Ranked& a, const Ranked& b) {
      return std::tie(a.rank, a.members->pool, a.members->occupancy) <=>
             std::tie(b.rank, b.members->pool, b.members->occupancy);
    }
    friend bool operator==(const Ranked& a, const Ranked& b) { return (a <=> b) == 0; }
  };
  using Order = base::SortedSet<Ranked>;
  struct PoolOrders {
    std::vector<Order> by_profile;  ///< MIG, per profile of the model
    Order vgpu;                     ///< GPUs with vGPUs, fullest first
    Order empty;                    ///< GPUs nobody holds a part of
  };

  void describe(GpuClass& fresh, const catalog::GpuModel& model, const fleet::Pool& pool);
  template <class Act>
  void each_order(const GpuClass& filed, Act act);
  void sweep();

  std::map<Key, GpuClass> classes_;
  std::size_t vacant_ = 0;  ///< classes without members
  std::vector<PoolOrders> pools_;
  std::vector<GpuClass*> gpus_;
};

}  // namespace tessera::placement
