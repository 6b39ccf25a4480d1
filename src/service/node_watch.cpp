#include "service/node_watch.h"

#include <utility>

namespace tessera::service {

void NodeWatch::heard(std::string_view node, base::Instant now) {
  const auto known = last_heard_.find(node);
  if (known != last_heard_.end()) {
    known->second = now;
  } else {
    last_heard_.emplace(node, now);
  }
}

std::vector<std::string> NodeWatch::look(const fleet::Fleet& fleet, base::Instant now) {
  const base::Duration gap = now - std::exchange(last_look_, now);
  if (gap < base::Duration::zero() || gap > grace_ / 2) last_heard_.clear();

  std::vector<std::string> silent;
  std::map<std::string, base::Instant, std::less<>> still_ready;
  for (const auto& node : fleet.nodes()) {
    if (node.name.empty() || node.phase != fleet::NodePhase::kReady) continue;
    const auto known = last_heard_.find(node.name);
    base::Instant heard = known == last_heard_.end() ? now : known->second;
    if (now - heard >= grace_) {
      silent.push_back(node.name);
      heard = now;
    }
    still_ready.emplace(node.name, heard);
  }
  last_heard_ = std::move(still_ready);
  return silent;
}

}  // namespace tessera::service
