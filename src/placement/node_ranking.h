#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "placement/index.h"

namespace tessera::placement {

/// The state of affairs that nodes are looked at in. References must outlive the call.
struct NodeView {
  const catalog::Catalog& catalog;
  const fleet::Fleet& fleet;
  const Index& index;
};

/// A need as one node sees it: so many slices of one kind, and what the host must have for them. No
/// slices at all: work without a GPU.
struct NodeNeed {
  Candidate slice;
  int count = 1;
  HostNeed host;
  bool linked = false;  ///< the slices are whole GPUs, and NVLink has to link them all to all
};

/// A node as it is. Its worth is worked out when it is first asked for.
struct NodeLook {
  NodeRoom room;
  std::optional<float> worth;
};
NodeLook look_at(const NodeView& view, fleet::NodeIndex node);

/// What the node loses by the need; nothing if it does not fit there. Comparable for equal needs;
/// for shares and whole GPUs in GPUs of worth, and across pools.
///
/// - Shares and whole GPUs: how much the node's worth falls (placement/worth.h).
/// - A MIG instance or a vGPU: future options given up on its GPU (placement/fit.h).
/// - Several of those: how many more of the kind would still fit, so that large ones find room.
///
/// Several whole GPUs that one NVLink island has room for lose less there than anywhere else, and
/// least in the island that has fewest to spare: whole islands are kept for large needs.
///
/// Of equal losses the node with less host CPU left is better.
std::optional<double> loss_on(const NodeView& view, const NodeNeed& need, fleet::NodeIndex node,
                              NodeLook& before);
/// The slices' places on a node where loss_on() found room.
std::vector<Pick> picks_on(const NodeView& view, const NodeNeed& need, fleet::NodeIndex node);

/// For each kind of need, the nodes in the order in which it takes them: least loss first, then by
/// number.
///
/// A memory, not a judgement: the answer is the same without it, after a look at every node. Each
/// order is brought up to date when its kind is asked for again, by looking at the nodes that have
/// changed since, so that a decision costs the same on any number of nodes. Belongs to whoever may
/// change the state; everyone else makes one for the moment.
class NodeRankings {
 public:
  struct Best {
    fleet::NodeIndex node;
    double loss = 0;
  };
  /// The node to take, or nothing if the need fits nowhere in its pool.
  std::optional<Best> best(const NodeView& view, const NodeNeed& need);
  /// The first `most` nodes to take, one such need each; fewer where it does not fit on so many.
  std::vector<Best> first(const NodeView& view, const NodeNeed& need, std::size_t most);

 private:
  struct Entry {
    double loss = 0;
    fleet::NodeIndex node;
    std::uint64_t changed = 0;  ///< the node's last change when it was looked at
  };
  /// A heap in which entries of nodes that have changed since stay until they come to the top.
  struct Order {
    std::vector<Entry> heap;
    std::uint64_t seen = 0;    ///< changes before this number have been looked at
    std::uint64_t tuning = 0;  ///< of the worth that losses were counted in
    std::uint64_t used = 0;    ///< when it was last asked for
  };
  struct Known {
    std::uint64_t changed = 0, tuning = 0;
    NodeLook look;
  };
  using Key = std::array<std::int64_t, 13>;
  static Key key_of(const NodeNeed& need);

  Order& order_of(const NodeView& view, const NodeNeed& need);
  Order& current(const NodeView& view, const NodeNeed& need);
  /// Takes entries that are out of date off the top.
  static void settle(const NodeBook& nodes, Order& order);
  void catch_up(const NodeView& view, const NodeNeed& need, Order& order);
  void enter(const NodeView& view, const NodeNeed& need, Order& order, fleet::NodeIndex node);
  void make_room(std::size_t nodes);

  std::map<Key, Order> orders_;
  std::vector<Known> known_;  ///< by node
  std::uint64_t uses_ = 0;
};

}  // namespace tessera::placement
