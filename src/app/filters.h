#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "wire/json.h"

namespace tessera::app {

/// What `get` is narrowed to; empty: not by that.
struct Filters {
  std::string team, state, pool, node, tier;
};

/// "?team=vision&state=queued", or nothing.
std::string query_of(const Filters& filters);

/// Is the object among what the filters leave? For changes as they come: the stream of events tells
/// of all objects of a kind.
bool passes(const wire::Json& object, const Filters& filters);

/// Errors: kInvalidDocument where objects of /v1/PATH are never in that state.
base::Result<void> check_state(const std::string& path, const std::string& state);

/// The objects that the filters name, as kind in a path and name: {"teams", "vision"}.
std::vector<std::pair<std::string, std::string>> named_by(const Filters& filters);

}  // namespace tessera::app
