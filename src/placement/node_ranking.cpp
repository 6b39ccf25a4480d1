#include "placement/node_ranking.h"

#include <algorithm>
#include <array>
#include <bit>
#include <tuple>

#include "placement/fit.h"

namespace tessera::placement {
namespace {

using catalog::Technology;
using fleet::NodeIndex;

constexpr double kMilli = 1000;
/// Weight of a host core left over: decides between equals only.
constexpr double kCoreWeight = 1e-6;
/// Entries of all orders together: some hundred megabytes at most.
constexpr std::size_t kMostEntries = 4 << 20;
constexpr std::size_t kFewestOrders = 16;
constexpr std::size_t kMostOrders = 4096;
/// Entries beside two for every node before an order is cleared of what is out of date.
constexpr std::size_t kSpareEntries = 64;

/// One node and what is to go there.
class Place {
 public:
  Place(const NodeView& view, const NodeNeed& need, NodeIndex node)
      : view_(view),
        need_(need),
        pool_(view.fleet.pool(need.slice.pool)),
        model_(view.catalog.model(pool_.model)),
        classes_(view.index.gpu_classes()),
        gpus_(view.fleet.node(node).gpus) {}

  /// The best GPU for a single slice, by `rank(class, fit)`: less is better; equals by number.
  template <class Rank>
  std::optional<Pick> best_gpu(Rank rank) const {
    std::optional<Pick> best;
    decltype(rank(std::declval<const GpuClass&>(), std::declval<const Fit&>())) least{};
    std::array<const GpuClass*, 4> tried{};  // neighbours are often alike
    for (std::size_t i = 0; i < gpus_.size(); ++i) {
      const auto* filed = classes_.of(gpus_[i]);
      if (filed == nullptr || std::ranges::find(tried, filed) != tried.end()) continue;
      tried[i % tried.size()] = filed;
      const auto found = fit_on(*filed);
      if (!found) continue;
      const auto its = rank(*filed, *found);
      if (best && least <= its) continue;
      best = Pick{gpus_[i], *found};
      least = its;
    }
    return best;
  }

  /// The node's room with one share more, on such a GPU.
  NodeRoom with_share(NodeRoom room, const GpuClass& filed, const Fit& found) const {
    const auto& worth = view_.index.worth();
    const auto after = with(filed.occupancy, found);
    room.appeal += worth.appeal(need_.slice.pool, free_for_shares(model_, after)) -
                   worth.appeal(need_.slice.pool, filed.free);
    room.empty -= filed.occupancy.empty() ? 1 : 0;
    return room;
  }

  /// Slices of the kind that fit on the node, counted up to `most`.
  std::int64_t total_room(std::int64_t most) const {
    std::int64_t sum = 0;
    for (const auto gpu : gpus_) {
      if (sum >= most) break;
      if (const auto* filed = classes_.of(gpu)) sum += room_on(*filed);
    }
    return sum;
  }

  std::vector<Pick> packed() const {
    std::vector<NodeGpu> open;
    for (const auto gpu : gpus_)
      if (const auto* filed = classes_.of(gpu)) open.push_back({gpu, filed->occupancy});
    auto picks = pack(model_, pool_, std::move(open), need_.slice, need_.count);
    return picks ? std::move(*picks) : std::vector<Pick>{};
  }

  /// What the node's worth falls by for shares or whole GPUs, on a host as `room` says.
  std::optional<float> worth_after(const NodeRoom& room) const {
    const auto& worth = view_.index.worth();
    const auto pool = need_.slice.pool;
    auto after = room;
    if (need_.slice.technology == Technology::kWhole) {
      if (room.empty < need_.count || (need_.count > 0 && pool_.fixed())) return std::nullopt;
      after.appeal -= need_.count * worth.appeal(pool, 1000);
      after.empty -= need_.count;
      return worth.of(pool, after);
    }
    if (need_.count == 1) {
      float most = -1;
      best_gpu([&](const GpuClass& filed, const Fit& found) {
        most = std::max(most, worth.of(pool, with_share(after, filed, found)));
        return 0;
      });
      return most < 0 ? std::nullopt : std::optional(most);
    }
    if (total_room(need_.count) < need_.count) return std::nullopt;
    std::vector<std::pair<fleet::GpuIndex, fleet::Occupancy>> changed;
    for (const auto& pick : packed()) {
      auto known = std::ranges::find(changed, pick.gpu, [](const auto& one) { return one.first; });
      if (known == changed.end())
        known = changed.insert(changed.end(), {pick.gpu, classes_.of(pick.gpu)->occupancy});
      after.empty -= known->second.empty() ? 1 : 0;
      known->second = with(known->second, pick.fit);
    }
    for (const auto& [gpu, occupancy] : changed)
      after.appeal += worth.appeal(pool, free_for_shares(model_, occupancy)) -
                      worth.appeal(pool, classes_.of(gpu)->free);
    return worth.of(pool, after);
  }

 private:
  std::optional<Fit> fit_on(const GpuClass& filed) const {
    if (need_.slice.technology != Technology::kMig)
      return fit(model_, pool_, filed.occupancy, need_.slice);
    const auto* offer = filed.offer(need_.slice.profile);
    return offer != nullptr ? std::optional(offer->fit) : std::nullopt;
  }

  std::int64_t room_on(const GpuClass& filed) const {
    if (need_.slice.technology != Technology::kMig)
      return room(model_, pool_, filed.occupancy, need_.slice);
    const auto* offer = filed.offer(need_.slice.profile);
    return offer != nullptr ? offer->room : 0;
  }

  const NodeView& view_;
  const NodeNeed& need_;
  const fleet::Pool& pool_;
  const catalog::GpuModel& model_;
  const GpuClasses& classes_;
  const std::vector<fleet::GpuIndex>& gpus_;
};

bool by_worth(const Candidate& slice) {
  return slice.technology == Technology::kTimeSlicing || slice.technology == Technology::kWhole;
}

NodeRoom without(NodeRoom room, HostNeed host) {
  if (room.cpu != NodeRoom::kUncounted) room.cpu -= host.cpu.count();
  if (room.memory != NodeRoom::kUncounted) room.memory -= host.memory.count();
  return room;
}

}  // namespace

NodeLook look_at(const NodeView& view, NodeIndex node) {
  const auto& entry = view.index.nodes().of(node);
  NodeRoom room{.cpu = entry.cpu, .memory = entry.memory};
  for (const auto gpu : view.fleet.node(node).gpus) {
    const auto* filed = view.index.gpu_classes().of(gpu);
    if (filed == nullptr) continue;
    room.appeal += view.index.worth().appeal(entry.pool, filed->free);
    room.empty += filed->occupancy.empty() ? 1 : 0;
  }
  return {room, std::nullopt};
}

std::optional<double> loss_on(const NodeView& view, const NodeNeed& need, NodeIndex node,
                              NodeLook& before) {
  if (!view.index.nodes().of(node).has(need.host)) return std::nullopt;
  const Place place(view, need, node);
  const auto after = without(before.room, need.host);
  double loss = 0;
  if (by_worth(need.slice)) {
    const auto left = place.worth_after(after);
    if (!left) return std::nullopt;
    if (!before.worth) before.worth = view.index.worth().of(need.slice.pool, before.room);
    loss = (static_cast<double>(*before.worth) - static_cast<double>(*left)) / kMilli;
  } else if (need.count == 1) {
    const auto best =
        place.best_gpu([](const GpuClass&, const Fit& found) { return loss_of(found); });
    if (!best) return std::nullopt;
    loss = loss_of(best->fit);
  } else {
    const auto fitting = place.total_room(NodeRoom::kUncounted);
    if (fitting < need.count) return std::nullopt;
    loss = static_cast<double>(fitting - need.count);
  }
  if (after.cpu != NodeRoom::kUncounted)
    loss += kCoreWeight * static_cast<double>(after.cpu) / kMilli;
  return loss;
}

std::vector<Pick> picks_on(const NodeView& view, const NodeNeed& need, NodeIndex node) {
  const Place place(view, need, node);
  if (need.count != 1 || need.slice.technology == Technology::kWhole) return place.packed();
  std::optional<Pick> best;
  if (by_worth(need.slice)) {
    const auto room = without(look_at(view, node).room, need.host);
    // Of GPUs that are worth the same afterwards, the one that loses fewest idle instances.
    best = place.best_gpu([&](const GpuClass& filed, const Fit& found) {
      const auto left =
          view.index.worth().of(need.slice.pool, place.with_share(room, filed, found));
      return std::pair(-left, std::popcount(found.retires));
    });
  } else {
    best = place.best_gpu([](const GpuClass&, const Fit& found) { return loss_of(found); });
  }
  if (!best) return {};
  return {*best};
}

// --- the memory
// -----------------------------------------------------------------------------------

namespace {

/// Later is better: std::*_heap keep the greatest on top.
bool worse(const auto& a, const auto& b) {
  return std::tie(a.loss, a.node) > std::tie(b.loss, b.node);
}

}  // namespace

NodeRankings::Key NodeRankings::key_of(const NodeNeed& need) {
  const auto& slice = need.slice;
  return {std::int64_t{slice.pool.value()},
          static_cast<std::int64_t>(slice.technology),
          std::int64_t{slice.profile},
          std::int64_t{slice.vgpu_type},
          slice.share.memory.count(),
          slice.share.compute.count(),
          std::int64_t{slice.share.oversubscription},
          std::int64_t{slice.share.tenants},
          static_cast<std::int64_t>(slice.share.isolation),
          std::int64_t{need.count},
          need.host.cpu.count(),
          need.host.memory.count()};
}

NodeRankings::Order& NodeRankings::order_of(const NodeView& view, const NodeNeed& need) {
  const auto key = key_of(need);
  auto found = orders_.find(key);
  if (found == orders_.end()) {
    make_room(view.index.nodes().size());
    found = orders_.emplace(key, Order{}).first;
  }
  found->second.used = ++uses_;
  return found->second;
}

/// Forgets the orders that were not asked for for longest.
void NodeRankings::make_room(std::size_t nodes) {
  const auto most =
      std::clamp(kMostEntries / std::max<std::size_t>(nodes, 1), kFewestOrders, kMostOrders);
  while (orders_.size() >= most)
    orders_.erase(
        std::ranges::min_element(orders_, {}, [](const auto& one) { return one.second.used; }));
}

std::optional<NodeRankings::Best> NodeRankings::best(const NodeView& view, const NodeNeed& need) {
  auto& order = order_of(view, need);
  catch_up(view, need, order);
  auto& heap = order.heap;
  const auto& nodes = view.index.nodes();
  while (!heap.empty() && nodes.of(heap.front().node).changed != heap.front().changed) {
    std::ranges::pop_heap(heap, worse<Entry, Entry>);
    heap.pop_back();
  }
  if (heap.empty()) return std::nullopt;
  return Best{heap.front().node, heap.front().loss};
}

void NodeRankings::catch_up(const NodeView& view, const NodeNeed& need, Order& order) {
  const auto& nodes = view.index.nodes();
  const auto next = nodes.next_change();
  if (order.tuning == view.index.tuning() && nodes.remembers(order.seen)) {
    for (auto change = order.seen; change < next; ++change)
      if (const auto node = nodes.changed_at(change); nodes.of(node).changed == change)
        enter(view, need, order, node);
  } else {
    order.heap.clear();
    for (const auto node : view.fleet.nodes_of(need.slice.pool))
      if (nodes.knows(node)) enter(view, need, order, node);
  }
  order.seen = next;
  order.tuning = view.index.tuning();
  if (order.heap.size() <= 2 * nodes.size() + kSpareEntries) return;
  std::erase_if(order.heap,
                [&](const Entry& entry) { return nodes.of(entry.node).changed != entry.changed; });
  std::ranges::make_heap(order.heap, worse<Entry, Entry>);
}

void NodeRankings::enter(const NodeView& view, const NodeNeed& need, Order& order, NodeIndex node) {
  const auto& entry = view.index.nodes().of(node);
  if (entry.pool != need.slice.pool || !entry.has(need.host)) return;
  if (node.value() >= known_.size()) known_.resize(view.index.nodes().size());
  auto& known = known_[node.value()];
  if (known.changed != entry.changed || known.tuning != view.index.tuning())
    known = {entry.changed, view.index.tuning(), look_at(view, node)};
  const auto loss = loss_on(view, need, node, known.look);
  if (!loss) return;
  order.heap.push_back({*loss, node, entry.changed});
  std::ranges::push_heap(order.heap, worse<Entry, Entry>);
}

}  // namespace tessera::placement
