#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "catalog/gpu_model.h"
#include "fleet/fleet.h"
#include "placement/demand.h"
#include "placement/gpu_classes.h"
#include "placement/match.h"
#include "placement/node_book.h"
#include "placement/worth.h"

namespace tessera::placement {

/// What placing looks things up in: the GPUs by class, the nodes with what their hosts have left,
/// and what free room is worth.
///
/// Derived data: a pure function of Fleet, Catalog, the tiers and the typical demand. An index
/// rebuilt from a snapshot decides exactly as the one it replaces. Owned by control::State, which
/// tells it of every change; safe to read from several threads. Movable, not copyable.
class Index {
 public:
  /// Sums over the GPUs of one pool.
  struct Totals {
    int open = 0;      ///< may take new slices
    int away = 0;      ///< may not
    fleet::Cost free;  ///< not held, of the open ones; counts oversubscribed compute once
    friend bool operator==(const Totals&, const Totals&) = default;
  };

  /// Takes over what became of one GPU. O(log classes + profiles).
  void refresh(fleet::GpuIndex gpu, const fleet::Fleet& fleet, const catalog::Catalog& catalog);
  /// Takes over what a node's host has left.
  void refresh_host(fleet::NodeIndex node, const fleet::Fleet& fleet);
  /// Takes over a node's GPUs, whether they may be used, and its host.
  void refresh_node(fleet::NodeIndex node, const fleet::Fleet& fleet,
                    const catalog::Catalog& catalog);
  /// The same after a pool's rules may have changed: its classes are built anew, not only moved.
  void refresh_pool(fleet::PoolIndex pool, const fleet::Fleet& fleet,
                    const catalog::Catalog& catalog);
  /// Forgets a node and its GPUs. Call before the fleet removes it.
  void remove_node(fleet::NodeIndex node, const fleet::Fleet& fleet);
  /// Takes over what is typical now. Call when that, a pool or a tier has changed.
  void retune(const DemandPicture& typical, const fleet::Fleet& fleet,
              const catalog::Catalog& catalog, const Tiers& tiers);
  /// Refreshes everything, from nothing.
  void rebuild(const DemandPicture& typical, const fleet::Fleet& fleet,
               const catalog::Catalog& catalog, const Tiers& tiers);

  const GpuClasses& gpu_classes() const { return gpu_classes_; }
  const NodeBook& nodes() const { return nodes_; }
  const Worth& worth() const { return worth_; }
  /// Grows whenever worth() has changed.
  std::uint64_t tuning() const { return tuning_; }

  Totals totals(fleet::PoolIndex pool) const;
  /// What to add per GPU of this pool to what a node loses.
  double price(fleet::PoolIndex pool) const;
  bool open(fleet::GpuIndex gpu) const { return gpu_classes_.of(gpu) != nullptr; }
  /// What this index and another of the same fleet do not say alike; empty if there is nothing.
  std::string difference(const Index& other, const fleet::Fleet& fleet) const;
  /// Number of different classes of GPUs now.
  std::size_t classes() const { return gpu_classes_.size(); }

 private:
  struct GpuEntry {
    fleet::PoolIndex pool;  ///< counted in this pool's totals; invalid: not counted
    bool open = false;
    fleet::Cost free;
  };
  void count(fleet::GpuIndex gpu, const GpuEntry& now);
  void drop(fleet::GpuIndex gpu);

  GpuClasses gpu_classes_;
  NodeBook nodes_;
  Worth worth_;
  std::uint64_t tuning_ = 0;
  std::vector<Totals> totals_;           ///< by pool
  std::vector<base::GpuFraction> free_;  ///< by pool: compute that is free
  std::vector<GpuEntry> gpus_;
};

}  // namespace tessera::placement
