#include "control/report_order.h"

#include <algorithm>

namespace tessera::control {

bool ReportOrder::fresh(const fleet::NodeReport& report, std::uint64_t process) const {
  if (report.sequence == 0) return true;
  if (report.heard_process != process) return false;
  const auto known = nodes_.find(report.node);
  if (known == nodes_.end()) return true;
  const auto& sessions = known->second;
  const auto own =
      std::ranges::find_if(sessions, [&](const Session& each) { return each.is_of(report); });
  if (own == sessions.end()) return true;
  const auto later = std::find_if(std::next(own), sessions.end(),
                                  [](const Session& each) { return each.sequence > 0; });
  return later == sessions.end() && report.sequence > own->sequence;
}

void ReportOrder::note(const fleet::NodeReport& report, std::uint64_t process) {
  if (report.sequence == 0) return;
  const bool counts = fresh(report, process);
  auto& sessions = nodes_[report.node];
  auto own =
      std::ranges::find_if(sessions, [&](const Session& each) { return each.is_of(report); });
  if (own == sessions.end()) {
    if (sessions.size() == kRemembered) sessions.erase(sessions.begin());
    own = sessions.insert(sessions.end(), {report.boot, report.session, 0});
  }
  if (counts) own->sequence = report.sequence;
}

}  // namespace tessera::control
