#pragma once

#include "control/event.h"
#include "wire/json.h"

namespace tessera::wire {

/// A journal record for people: {"revision","at","actor","events":[{"event":"LeaseGranted",…}]}.
/// Built from each struct's `fields`, so nothing can be forgotten; quantities have their units,
/// numbers of requests and leases their names. A token's digest is left out.
Json audit_of(const control::Record& record);

}  // namespace tessera::wire
