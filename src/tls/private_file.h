#pragma once

#include <string>

#include <sys/types.h>

#include "base/result.h"

namespace tessera::tls {

/// Replaces the file in one step, durably: whoever is killed leaves the old one or the new one.
/// Errors: kUnavailable.
base::Result<void> write_private_file(const std::string& path, const std::string& text,
                                      mode_t mode = 0600);

}  // namespace tessera::tls
