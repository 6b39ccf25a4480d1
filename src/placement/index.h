#pragma once

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "catalog/gpu_model.h"
#include "fleet/fleet.h"
#include "placement/fit.h"

namespace tessera::placement {

/// What the host must have left, for all slices of a request together.
struct HostNeed {
  base::MilliCpu cpu;
  base::MiB memory;
};

/// GPUs by class, so that a decision costs the same in a fleet of 100 and of 100,000.
///
/// Two GPUs of one pool with equal Occupancy are interchangeable and form a class. For each MIG
/// profile the classes are kept ranked by what placing there would cost in future options; shares
/// and whole GPUs have orders of their own. Only GPUs that may take new slices (healthy, node
/// ready and not cordoned) are in a class.
///
/// Derived data: a pure function of Fleet and Catalog. All orders end in comparisons of contents,
/// never of addresses or of the sequence in which classes came to be, so an index rebuilt from a
/// snapshot decides exactly as the one it replaces. Owned by control::State, which calls
/// refresh() after every change of a GPU or its node. Movable, not copyable (it points into
/// itself).
class Index {
 public:
  struct Pick {
    fleet::GpuIndex gpu;
    Fit fit;
  };
  /// Sums over the GPUs of one pool.
  struct Totals {
    int open = 0;      ///< may take new slices
    int away = 0;      ///< may not
    fleet::Cost free;  ///< not held, of the open ones; counts oversubscribed compute once
    friend bool operator==(const Totals&, const Totals&) = default;
  };

  Index() = default;
  Index(Index&&) = default;
  Index& operator=(Index&&) = default;

  /// Takes over what became of one GPU. O(log classes + profiles).
  void refresh(fleet::GpuIndex gpu, const fleet::Fleet& fleet, const catalog::Catalog& catalog);
  void refresh_node(fleet::NodeIndex node, const fleet::Fleet& fleet,
                    const catalog::Catalog& catalog);
  /// The same after what the pool offers changed: its classes are built anew, not only moved.
  void refresh_pool(fleet::PoolIndex pool, const fleet::Fleet& fleet,
                    const catalog::Catalog& catalog);
  /// Forgets a node and its GPUs. Call before the fleet removes it.
  void remove_node(fleet::NodeIndex node, const fleet::Fleet& fleet);
  /// Refreshes everything, from nothing.
  void rebuild(const fleet::Fleet& fleet, const catalog::Catalog& catalog);

  /// The best GPU for one slice of `candidate` on a node with that much left.
  std::optional<Pick> pick(const fleet::Fleet& fleet, const catalog::Catalog& catalog,
                           const Candidate& candidate, HostNeed host) const;
  /// The node with the fewest empty GPUs that are enough.
  std::optional<fleet::NodeIndex> pick_empty(fleet::PoolIndex pool, int gpus, HostNeed host) const;
  /// Nodes that could hold at least one slice of `candidate`, best GPU first, until `accept`
  /// returns true. Each node is offered once.
  template <class Accept>
  bool any_node(const fleet::Fleet& fleet, const catalog::Catalog& catalog,
                const Candidate& candidate, HostNeed host, Accept accept) const;

  Totals totals(fleet::PoolIndex pool) const;
  bool open(fleet::GpuIndex gpu) const {
    return gpu.value() < gpus_.size() && gpus_[gpu.value()].key != nullptr;
  }
  /// Number of different classes now: what a decision's cost depends on.
  std::size_t classes() const { return classes_.size(); }

 private:
  struct Key {
    fleet::PoolIndex pool;
    fleet::Occupancy occupancy;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  /// Members in the order in which they are taken: least host CPU left first (best fit).
  struct Member {
    base::MilliCpu cpu;
    base::MiB memory;
    std::uint32_t index = 0;
    friend auto operator<=>(const Member&, const Member&) = default;
  };
  using Members = std::set<Member>;
  struct Class {
    Members members;
    std::map<std::uint16_t, Fit> fits;  ///< per plain MIG profile that fits
  };
  /// A class in an order: lower rank is taken first, ties by contents.
  struct Ranked {
    std::int64_t rank = 0;
    const Key* key = nullptr;
    friend bool operator<(const Ranked& a, const Ranked& b) {
      return std::tie(a.rank, *a.key) < std::tie(b.rank, *b.key);
    }
  };
  using Order = std::set<Ranked>;
  struct PoolOrders {
    std::map<std::uint16_t, Order> by_profile;  ///< MIG, per plain profile that fits
    Order shared;                               ///< GPUs with shares, fullest first
    Order vgpu;                                 ///< GPUs with vGPUs, fullest first
    Order empty;                                ///< GPUs nobody holds a part of
    std::map<int, Members> nodes_by_empty;      ///< nodes by number of empty open GPUs
    Totals totals;
  };
  struct GpuEntry {
    const Key* key = nullptr;  ///< into classes_; null: not open
    Member member;
    fleet::PoolIndex pool;  ///< counted in this pool's totals; invalid: not counted
    fleet::Cost free;
  };
  struct NodeEntry {
    int empty = 0;
    Member member;
    fleet::PoolIndex pool;
  };

  void leave(fleet::GpuIndex gpu);
  void enter(fleet::GpuIndex gpu, const fleet::Fleet& fleet, const catalog::Catalog& catalog);
  void file_class(const Key& key, Class& members, const catalog::GpuModel& model,
                  const fleet::Pool& pool);
  void unfile_class(const Key& key, const Class& members);
  void count_empty(fleet::NodeIndex node, const fleet::Fleet& fleet);
  PoolOrders& orders(fleet::PoolIndex pool);
  const Order* order_for(const Candidate& candidate) const;
  template <class Visit>
  bool visit_fitting(const fleet::Fleet& fleet, const catalog::Catalog& catalog,
                     const Candidate& candidate, Visit visit) const;
  static const Member* first_with(const Members& members, HostNeed host);

  std::map<Key, Class> classes_;
  std::vector<PoolOrders> pools_;
  std::vector<GpuEntry> gpus_;
  std::vector<NodeEntry> nodes_;
};

template <class Visit>
bool Index::visit_fitting(const fleet::Fleet& fleet, const catalog::Catalog& catalog,
                          const Candidate& candidate, Visit visit) const {
  if (candidate.pool.value() >= pools_.size()) return false;
  const auto& pool = fleet.pool(candidate.pool);
  const auto& model = catalog.model(pool.model);
  const auto try_class = [&](const Key& key) {
    const auto& members = classes_.find(key)->second;
    if (candidate.technology == catalog::Technology::kMig)
      return visit(members.members, members.fits.at(candidate.profile));
    const auto found = fit(model, pool, key.occupancy, candidate);
    return found && visit(members.members, *found);
  };
  if (const Order* order = order_for(candidate))
    for (const auto& ranked : *order)
      if (try_class(*ranked.key)) return true;
  if (candidate.technology == catalog::Technology::kMig) return false;
  for (const auto& ranked : pools_[candidate.pool.value()].empty)
    if (try_class(*ranked.key)) return true;
  return false;
}

template <class Accept>
bool Index::any_node(const fleet::Fleet& fleet, const catalog::Catalog& catalog,
                     const Candidate& candidate, HostNeed host, Accept accept) const {
  std::set<fleet::NodeIndex> offered;
  return visit_fitting(fleet, catalog, candidate, [&](const Members& members, const Fit&) {
    for (auto it = members.lower_bound(Member{host.cpu, host.memory, 0}); it != members.end();
         ++it) {
      if (it->memory < host.memory) continue;
      const auto node = fleet.gpu(fleet::GpuIndex(it->index)).node;
      if (offered.insert(node).second && accept(node)) return true;
    }
    return false;
  });
}

}  // namespace tessera::placement
