#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/time.h"

/// Work that may print, hang or abort, done in a process of its own.
namespace tessera::solver {

/// Runs `work` in a fork of this process and gives back what it returns; nothing else that it does
/// is seen. None: it did not end within `limit`, crashed or threw, or no process could be made.
/// The process is gone when this returns.
///
/// Of the caller's threads only the calling one goes on in the fork. So `work` must not wait for
/// another thread nor need a lock that one may hold. Allocating is safe: the C library holds its
/// own locks while it forks. Open files and sockets are closed there at once.
std::optional<std::vector<double>> apart(const std::function<std::vector<double>()>& work,
                                         base::Duration limit);

}  // namespace tessera::solver
