#include "fleet/pool.h"

#include <algorithm>
#include <array>

#include "fleet/node_protocol.h"

namespace tessera::fleet {

std::string_view to_string(LayoutPolicy policy) {
  return policy == LayoutPolicy::kOnDemand ? "on-demand" : "static";
}

std::string_view to_string(NodePhase phase) {
  constexpr std::array<std::string_view, 3> kNames = {"expected", "ready", "lost"};
  return kNames[static_cast<std::size_t>(phase)];
}

std::string_view to_string(SliceStatus status) {
  constexpr std::array<std::string_view, 4> kNames = {"pending", "ready", "clean", "failed"};
  return kNames[static_cast<std::size_t>(status)];
}

bool Pool::offers(catalog::Technology technology) const {
  return std::ranges::find(technologies, technology) != technologies.end();
}

bool Pool::carries(std::string_view tier) const {
  return std::ranges::find(tiers, tier) != tiers.end();
}

}  // namespace tessera::fleet
