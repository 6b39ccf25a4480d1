#pragma once

#include <memory>
#include <string>

#include "agent/share_keeper.h"

/// How this machine holds leases to their shares of a GPU.
namespace tessera::app {

/// Where the agents of a machine and those who start programs on it meet, unless they are told:
/// /run/tessera for root, else below XDG_RUNTIME_DIR, or in /tmp under the user's number.
std::string default_shares();

/// For the agent of `node`; programs of a lease come to FOLDER/NODE/lease-N. nullptr where the
/// guard is left out of the build: then nobody is held to anything.
std::unique_ptr<agent::ShareKeeper> make_share_keeper(const std::string& folder,
                                                      const std::string& node);

}  // namespace tessera::app
