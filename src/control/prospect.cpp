#include "control/prospect.h"

#include "base/check.h"

namespace tessera::control {

void follow(request::Request& request, const RequestMoved& event) {
  CHECK_MSG(may_follow(request.state, event.state),
            std::string(to_string(request.state)) + " -> " + std::string(to_string(event.state)));
  request.state = event.state;
  if (!event.tier.empty()) request.tier = event.tier;
  request.reason = event.reason;
  request.message = event.message;
}

void follow(request::Request& request, const LeaseGranted& event) {
  request.state = request::RequestState::kProvisioning;
  request.lease = event.lease.id;
  ++request.open_leases;
  request.reason.reset();
  request.message.clear();
}

std::optional<Prospect> prospect_of(const std::vector<Event>& events) {
  std::optional<Prospect> prospect;
  for (const auto& event : events) {
    if (const auto* submitted = std::get_if<RequestSubmitted>(&event)) {
      prospect = Prospect{submitted->request, std::nullopt};
    } else if (const auto* moved = std::get_if<RequestMoved>(&event)) {
      follow(prospect.value().request, *moved);
    } else if (const auto* granted = std::get_if<LeaseGranted>(&event)) {
      follow(prospect.value().request, *granted);
      prospect.value().lease = granted->lease;
    }
  }
  return prospect;
}

}  // namespace tessera::control
