#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/value.h"

/// Text to values. The text is hostile: it is bounded in size and depth, it must be UTF-8 without
/// control characters, no map may have a key twice, and YAML's anchors, aliases and tags are
/// refused (nothing here needs them, and a few lines of them grow to gigabytes).
///
/// Every error is kInvalidDocument or kTooLarge and says "SOURCE:LINE" where SOURCE is not empty,
/// else "line N".
namespace tessera::wire {

struct Limits {
  std::size_t bytes = 1 << 20;
  int depth = 64;  ///< of maps and lists inside each other
};

/// All documents of a YAML text, empty ones left out.
base::Result<std::vector<Value>> parse_yaml(std::string_view text, const std::string& source,
                                            Limits limits = {});

/// One JSON value and nothing after it.
base::Result<Value> parse_json(std::string_view text, const std::string& source,
                               Limits limits = {});

/// JSON where the text starts with "{" or "[" and is JSON, else YAML.
base::Result<std::vector<Value>> parse(std::string_view text, const std::string& source,
                                       Limits limits = {});

}  // namespace tessera::wire
