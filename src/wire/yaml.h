#pragma once

#include <string>
#include <vector>

#include "wire/json.h"

namespace tessera::wire {

/// JSON as block-style YAML, for people; ends with a newline. Text that YAML would read as
/// something else ("2", "yes", "1h30m:") is quoted, so parse_yaml gives the same values back.
std::string to_yaml(const Json& json);

/// Several documents, each after a "---" line.
std::string to_yaml_documents(const std::vector<Json>& documents);

}  // namespace tessera::wire
