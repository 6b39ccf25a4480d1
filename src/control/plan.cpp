#include "control/plan.h"

#include <array>

namespace tessera::control {

std::string_view to_string(PlanState state) {
  constexpr std::array<std::string_view, 5> kNames = {"proposed", "applying", "done", "stopped",
                                                      "aborted"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view to_string(MovePhase phase) {
  constexpr std::array<std::string_view, 6> kNames = {"waiting", "preparing", "switched",
                                                      "done",    "skipped",   "given-up"};
  return kNames[static_cast<std::size_t>(phase)];
}

}  // namespace tessera::control
