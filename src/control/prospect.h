#pragma once

#include <optional>
#include <vector>

#include "control/event.h"

namespace tessera::control {

/// What an event of its life-cycle does to a request. apply() and dry runs share these, so that a
/// dry run cannot tell another story.
void follow(request::Request& request, const RequestMoved& event);
void follow(request::Request& request, const LeaseGranted& event);

/// A request as a Submit would leave it, while the state stays as it is.
struct Prospect {
  request::Request request;
  std::optional<request::Lease> lease;
};

/// From what decide() answers to a Submit. None where the Submit would change nothing, because its
/// Idempotency-Key was used before. A Submit makes no room, so nothing follows from it for others,
/// and its own events are the whole story.
std::optional<Prospect> prospect_of(const std::vector<Event>& events);

}  // namespace tessera::control
