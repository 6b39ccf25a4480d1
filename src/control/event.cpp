#include "control/event.h"

#include <array>

namespace tessera::control {

std::string_view name_of(const Event& event) {
  constexpr std::array<std::string_view, 42> kNames = {
      "TierPut",          "TierDeleted",   "TeamPut",          "TeamDeleted",      "PoolPut",
      "PoolDeleted",      "NodePut",       "NodeDeleted",      "NodeCordoned",     "NodeReady",
      "NodeLost",         "GpuIdentified", "GpuHealthChanged", "TokenPut",         "TokenDeleted",
      "RequestSubmitted", "RequestMoved",  "RequestForgotten", "LeaseGranted",     "SliceReady",
      "SliceFailed",      "SliceFreed",    "LeaseActivated",   "LeaseExpiring",    "LeaseRenewed",
      "LeaseEnding",      "LeaseEnded",    "UseRecorded",      "HistoryLost",      "PlanPut",
      "PlanStarted",      "PlanAdvanced",  "PlanEnded",        "LeaseMoving",      "LeaseMoved",
      "LeaseStays",       "PlanScheduled", "PlanCutShort",     "RestartAnnounced", "RestartPlaced",
      "RestartLeft",      "PlanTurnedBack"};
  static_assert(kNames.size() == std::variant_size_v<Event>);
  return kNames[event.index()];
}

}  // namespace tessera::control
