#pragma once

#include "wire/json.h"

namespace tessera::gateway {

/// docs/openapi.yaml, which is compiled in. Parsed at the first call.
const wire::Json& openapi_document();

}  // namespace tessera::gateway
