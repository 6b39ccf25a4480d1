#pragma once

#include <string_view>

namespace tessera::gateway {

/// docs/openapi.yaml as it was when this was built.
extern const std::string_view kOpenapiText;

}  // namespace tessera::gateway
