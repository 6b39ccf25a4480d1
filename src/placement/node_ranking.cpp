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
/// What a node is better by, in GPUs of worth, where NVLink links all GPUs of a need; and what it
/// is worse by for every GPU that its island has to spare then. More than all GPUs of a node are
/// worth, and no node has more than 64.
constexpr double kTogether = 4096;
constexpr double kToSpare = 64;

/// One node and what is to go there.
class Place {
 public:
  Place(const NodeView& view, const NodeNeed& need, NodeIndex node)
      : view_(view),
        need_(need),
        pool_(view.fleet.pool(need.slice.pool)),
        model_(view.catalog.model(pool_.model)),
        classes_(view.index.gpu_classes()),
        gpus_(view.fleet.node(node).gpus),
        islands_(view.fleet.node(node).nvlink) {}

  /// An island with room for all slices: how many empty GPUs it has, and where it is in
  /// fleet::Node::nvlink.
  struct Island {
    int empty = 0;
    std::size_t number = 0;
  };
  /// The one with the fewest empty GPUs; of equals the smallest, then the first.
  std::optional<Island> island_for(int count) const {
    std::optional<Island> best;
    for (std::size_t i = 0; i < islands_.size(); ++i) {
      const Island at{empty_in(islands_[i]), i};
      if (at.empty < count) continue;
      if (!best || std::pair(at.empty, islands_[i].size()) <
                       std::pair(best->empty, islands_[best->number].size()))
        best = at;
    }
    return best;
  }

  /// Does NVLink decide between the node's GPUs?
  bool by_island() const {
    return !islands_.empty() && need_.slice.technology == Technology::kWhole;
  }

  /// What linked GPUs are better by than others.
  double gain() const {
    if (need_.count < 2 || !by_island()) return 0;
    const auto island = island_for(need_.count);
    return island ? kTogether - kToSpare * (island->empty - need_.count) : 0;
  }

  bool refuses_link() const { return need_.linked && !island_for(need_.count); }

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

  std::vector<Pick> packed() const { return packed_on(gpus_, need_.count); }

  /// Whole GPUs of one island, or else of as few as can be.
  std::vector<Pick> packed_by_island() const {
    std::vector<Pick> picks;
    auto left = islands_with_singles();
    while (picks.size() < static_cast<std::size_t>(need_.count)) {
      const auto lacking = need_.count - static_cast<int>(picks.size());
      const auto before = [&](const Part& a, const Part& b) {
        const bool a_holds = a.empty >= lacking, b_holds = b.empty >= lacking;
        if (a_holds != b_holds) return a_holds;
        if (a.empty != b.empty) return a_holds ? a.empty < b.empty : a.empty > b.empty;
        return a.gpus.size() < b.gpus.size();
      };
      const auto best = std::ranges::min_element(left, before);
      if (best == left.end() || best->empty == 0) return {};
      for (auto& pick : packed_on(best->gpus, std::min(lacking, best->empty)))
        picks.push_back(std::move(pick));
      left.erase(best);
    }
    return picks;
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
  /// An island, or a GPU without a link.
  struct Part {
    std::vector<fleet::GpuIndex> gpus;
    int empty = 0;
  };

  std::vector<Part> islands_with_singles() const {
    std::vector<Part> parts;
    std::vector<bool> linked(gpus_.size(), false);
    for (const auto& island : islands_) {
      Part part{.empty = empty_in(island)};
      for (const auto number : island) {
        part.gpus.push_back(gpus_[number]);
        linked[number] = true;
      }
      parts.push_back(std::move(part));
    }
    for (std::size_t i = 0; i < gpus_.size(); ++i)
      if (!linked[i]) parts.push_back({{gpus_[i]}, is_empty(gpus_[i]) ? 1 : 0});
    return parts;
  }

  bool is_empty(fleet::GpuIndex gpu) const {
    const auto* filed = classes_.of(gpu);
    return filed != nullptr && filed->occupancy.empty();
  }

  int empty_in(const std::vector<std::uint16_t>& island) const {
    return static_cast<int>(
        std::ranges::count_if(island, [&](auto number) { return is_empty(gpus_[number]); }));
  }

  std::vector<Pick> packed_on(const std::vector<fleet::GpuIndex>& gpus, int count) const {
    std::vector<NodeGpu> open;
    for (const auto gpu : gpus)
      if (const auto* filed = classes_.of(gpu)) open.push_back({gpu, filed->occupancy});
    auto picks = pack(model_, pool_, std::move(open), need_.slice, count);
    return picks ? std::move(*picks) : std::vector<Pick>{};
  }

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
  const fleet::Islands& islands_;
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
    if (place.refuses_link()) return std::nullopt;
    loss = (static_cast<double>(*before.worth) - static_cast<double>(*left)) / kMilli;
    loss -= place.gain();
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
  if (place.by_island()) return place.packed_by_island();
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
          need.host.memory.count(),
          std::int64_t{need.linked}};
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

NodeRankings::Order& NodeRankings::current(const NodeView& view, const NodeNeed& need) {
  auto& order = order_of(view, need);
  catch_up(view, need, order);
  settle(view.index.nodes(), order);
  return order;
}

void NodeRankings::settle(const NodeBook& nodes, Order& order) {
  auto& heap = order.heap;
  while (!heap.empty() && nodes.of(heap.front().node).changed != heap.front().changed) {
    std::ranges::pop_heap(heap, worse<Entry, Entry>);
    heap.pop_back();
  }
}

std::optional<NodeRankings::Best> NodeRankings::best(const NodeView& view, const NodeNeed& need) {
  const auto& heap = current(view, need).heap;
  if (heap.empty()) return std::nullopt;
  return Best{heap.front().node, heap.front().loss};
}

std::vector<NodeRankings::Best> NodeRankings::first(const NodeView& view, const NodeNeed& need,
                                                    std::size_t most) {
  auto& order = current(view, need);
  auto& heap = order.heap;
  std::vector<Entry> taken;
  while (taken.size() < most && !heap.empty()) {
    std::ranges::pop_heap(heap, worse<Entry, Entry>);
    taken.push_back(heap.back());
    heap.pop_back();
    settle(view.index.nodes(), order);
  }
  std::vector<Best> found;
  for (const auto& entry : taken) {
    found.push_back({entry.node, entry.loss});
    heap.push_back(entry);
    std::ranges::push_heap(heap, worse<Entry, Entry>);
  }
  return found;
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
