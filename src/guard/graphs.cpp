#include <algorithm>
#include <cstdlib>

#include "guard/wrappers_launch.h"

namespace tessera::guard {
namespace {

AllocationTable graphs;
std::atomic<bool> any = false;
constexpr std::size_t kMostNodes = 1 << 20;
constexpr int kDeepest = 16;

std::uint64_t bytes_of(cuda::Handle graph, int depth) {
  auto* get =
      real<cuda::Result(cuda::Handle, cuda::Handle*, std::size_t*)>(Symbol::cuGraphGetNodes);
  auto* type_of =
      real<cuda::Result(cuda::Handle, cuda::GraphNodeType*)>(Symbol::cuGraphNodeGetType);
  auto* parameters_of =
      real<cuda::Result(cuda::Handle, cuda::MemAllocNode*)>(Symbol::cuGraphMemAllocNodeGetParams);
  auto* child_of =
      real<cuda::Result(cuda::Handle, cuda::Handle*)>(Symbol::cuGraphChildGraphNodeGetGraph);
  std::size_t count = 0;
  if (parameters_of == nullptr || depth > kDeepest ||
      get(graph, nullptr, &count) != cuda::kSuccess || count == 0 || count > kMostNodes)
    return 0;
  auto* nodes = static_cast<cuda::Handle*>(std::calloc(count, sizeof(cuda::Handle)));
  const bool listed = nodes != nullptr && get(graph, nodes, &count) == cuda::kSuccess;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; listed && i < count; ++i) {
    cuda::GraphNodeType type{};
    cuda::MemAllocNode parameters{};
    cuda::Handle child = nullptr;
    if (type_of(nodes[i], &type) != cuda::kSuccess) continue;
    if (type == cuda::kMemAllocNode && parameters_of(nodes[i], &parameters) == cuda::kSuccess)
      bytes += parameters.bytes;
    if (type == cuda::kChildGraphNode && child_of(nodes[i], &child) == cuda::kSuccess)
      bytes += bytes_of(child, depth + 1);
  }
  std::free(nodes);
  return bytes;
}

/// By how much the driver may have to grow its graphs' memory to launch one of this size.
std::uint64_t growth_for(cuda::Device device, std::uint64_t bytes) {
  auto* get =
      real<cuda::Result(cuda::Device, std::int32_t, void*)>(Symbol::cuDeviceGetGraphMemAttribute);
  std::uint64_t reserved = 0;
  std::uint64_t used = 0;
  get(device, cuda::kGraphReservedNow, &reserved);
  get(device, cuda::kGraphUsedNow, &used);
  const auto idle = reserved - std::min(used, reserved);
  constexpr std::uint64_t kGrowth = 2ULL << 20;
  return bytes > idle ? round_up(bytes - idle, kGrowth) : 0;
}

}  // namespace

void forget_graphs() {
  graphs.reset();
  any = false;
}

std::uint64_t bytes_of_graph(cuda::Handle graph) {
  return bytes_of(graph, 0);
}

void remember_graph(cuda::Handle executable, std::uint64_t bytes) {
  if (bytes == 0) return;
  graphs.put({reinterpret_cast<std::uint64_t>(executable), bytes, nullptr, 0, 1});
  any = true;
  watch_graph_memory();
}

void forget_graph(cuda::Handle executable) {
  Allocation gone;
  if (any) graphs.take(reinterpret_cast<std::uint64_t>(executable), gone);
  reconcile_graphs();
}

// The driver keeps what graphs have taken and uses it again; only growth is asked for. What it
// really took is charged afterwards.
bool begin_graph_launch(cuda::Handle executable, GraphTurn& turn) {
  Allocation graph;
  if (!any.load(std::memory_order_relaxed) ||
      !graphs.hold(reinterpret_cast<std::uint64_t>(executable), 0, graph))
    return true;
  if (!find_place(turn.place)) return ledger() != nullptr;
  turn.reserved = growth_for(turn.place.device, graph.bytes);
  turn.watched = turn.place.ledger->reserve(turn.place.slot, turn.reserved);
  if (turn.watched) return true;
  // What is given back here, the driver has to take again for this graph.
  trim_pools();
  trim_graphs();
  turn.reserved = growth_for(turn.place.device, graph.bytes);
  turn.watched = turn.place.ledger->reserve(turn.place.slot, turn.reserved);
  return turn.watched;
}

void end_graph_launch(const GraphTurn& turn) {
  if (!turn.watched) return;
  // First the truth, then the end of the reservation: in between too much is charged, never too
  // little.
  reconcile_graphs();
  turn.place.ledger->settle(turn.place.slot, turn.reserved, 0);
}

}  // namespace tessera::guard
