#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/parse.h"

namespace tessera::wire {

/// The rules on text that hold for YAML and JSON alike: size, UTF-8, no control characters.
/// Gives the text without a byte order mark.
base::Result<std::string_view> checked_text(std::string_view text, const std::string& source,
                                            Limits limits);

}  // namespace tessera::wire
