#include "control/report_order.h"

#include <algorithm>

namespace tessera::control {

bool ReportOrder::fresh(fleet::NodeIndex node, const fleet::NodeReport& report) const {
  if (report.sequence == 0 || node.value() >= nodes_.size()) return true;
  const auto& heard = nodes_[node.value()];
  const Session session{report.boot, report.session};
  const auto known = std::ranges::find(heard.sessions, session);
  if (known == heard.sessions.end()) return true;
  return session == heard.sessions.back() && report.sequence > heard.sequence;
}

void ReportOrder::note(fleet::NodeIndex node, const fleet::NodeReport& report) {
  if (report.sequence == 0) return;
  if (node.value() >= nodes_.size()) nodes_.resize(node.value() + 1);
  auto& heard = nodes_[node.value()];
  Session session{report.boot, report.session};
  if (heard.sessions.empty() || heard.sessions.back() != session) {
    if (heard.sessions.size() == kRemembered) heard.sessions.erase(heard.sessions.begin());
    heard.sessions.push_back(std::move(session));
  }
  heard.sequence = report.sequence;
}

}  // namespace tessera::control
