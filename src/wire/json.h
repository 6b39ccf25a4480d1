#pragma once

#include <nlohmann/json.hpp>

namespace tessera::wire {

/// Keys come out sorted, so equal objects have equal text.
using Json = nlohmann::json;

}  // namespace tessera::wire
