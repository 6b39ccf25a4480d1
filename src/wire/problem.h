#pragma once

#include <string_view>

#include "base/result.h"
#include "wire/json.h"

/// Refusals over HTTP (RFC 9457, application/problem+json).
namespace tessera::wire {

inline constexpr std::string_view kProblemType = "application/problem+json";

/// The status of docs/api.md for a reason. A failed If-Match is kConflict too, but 412: callers
/// pass that to problem_of.
int http_status(base::Reason reason);

/// {"type","title","status","reason","detail","field","hint"}; empty parts are left out.
Json problem_of(const base::Error& error);
Json problem_of(const base::Error& error, int status);

/// The error a server's answer stands for. Anything that is not a problem document (a proxy's
/// page, an empty body) becomes an error that quotes its beginning: by status, kUnauthenticated,
/// kForbidden, kUnavailable … else kInternal.
base::Error error_from(int status, std::string_view body);

}  // namespace tessera::wire
