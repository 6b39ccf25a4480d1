#pragma once

#include <string>

#include "base/time.h"
#include "wire/json.h"

/// One object or explanation of the API, told to a person: a text of several lines. Programs read
/// -o json instead.
namespace tessera::app {

/// What is set about an object, a line each, then its slices or quotas as a table. What is empty or
/// zero is left out.
std::string description(const wire::Json& object, base::Instant now);

/// Why a request waits, or where a need would go: first the answer, then what is in the way, then
/// what would fit. Lines are at most `width` characters long, 0 being no limit.
std::string explanation(const wire::Json& why, base::Instant now, std::size_t width);

}  // namespace tessera::app
