#include <algorithm>
#include <map>

#include "control/decide.h"

namespace tessera::control {

/// Counts what is beyond the mark. An agent begins with the first batch it has no receipt for, so
/// where a report begins beyond the mark the rest was counted before this state was restored.
Decision decide_use(const State& state, const RecordUse& command) {
  const auto& report = command.report;
  const auto node = state.fleet().find_node(report.node);
  if (!node) return unknown("node", report.node);
  auto sequence = state.use_counted(report.node, report.stream);
  const auto before = sequence;
  std::map<LeaseId, fleet::Use> sums;
  for (const auto& batch : report.batches) {
    if (batch.sequence <= sequence) continue;
    sequence = batch.sequence;
    for (const auto& each : batch.leases) {
      // What belongs to a lease that is forgotten, or to another node's, is nobody's here.
      const auto* lease = state.find(each.lease);
      if (lease == nullptr) continue;
      const auto nodes = request::nodes_of(*lease, state.fleet());
      if (std::ranges::find(nodes, *node) != nodes.end()) sums[each.lease] += each.use;
    }
  }
  if (sequence == before) return Events{};
  UseRecorded recorded{report.node, report.stream, sequence, {}};
  for (const auto& [lease, use] : sums) recorded.leases.push_back({lease, use});
  return Events{std::move(recorded)};
}

}  // namespace tessera::control
