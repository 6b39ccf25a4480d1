#pragma once

#include <filesystem>

#include "base/result.h"

namespace tessera::agent {

/// Whether nobody but this user and root can put files into the folder, or something else in its
/// place. Who can, could show programs limits of his own. Errors: kUnavailable, with the reason.
base::Result<void> check_trusted(const std::filesystem::path& folder);

}  // namespace tessera::agent
