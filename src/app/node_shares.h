#pragma once

#include <memory>
#include <string>

#include "agent/share_keeper.h"
#include "base/result.h"
#include "device/nvml/memory_limits.h"

/// How this machine holds leases to their shares of a GPU.
namespace tessera::app {

/// Where the agents of a machine and those who start programs on it meet, unless they are told:
/// /run/tessera for root, else below XDG_RUNTIME_DIR, or in /tmp under the user's number.
std::string default_shares();

struct SharesChoice {
  std::string folder = default_shares();
  std::string group;  ///< whose members may run programs on leases; empty: this user and root
};

/// For the agent of `node`; programs of a lease come to FOLDER/NODE/lease-N. nullptr where the
/// guard is left out of the build: then nobody is held to anything. Errors: there is no such group.
/// `limits`: what the driver is to keep too.
base::Result<std::shared_ptr<agent::ShareKeeper>> make_share_keeper(
    const SharesChoice& choice, const std::string& node,
    std::shared_ptr<device::nvml::MemoryLimits> limits);

/// The socket of a lease: in `folder` if one is named, else where this user's agents and root's
/// are. Errors: nobody holds the lease to its share here, or it is not for this user.
base::Result<std::string> find_share_socket(const std::string& folder, const std::string& node,
                                            const std::string& lease);

}  // namespace tessera::app
