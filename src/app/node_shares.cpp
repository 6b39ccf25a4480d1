#include "app/node_shares.h"

#include <cstdlib>
#include <filesystem>
#include <unistd.h>

#ifdef TESSERA_HAS_GUARD
#include "agent/brokered_shares.h"
#endif

namespace tessera::app {

std::string default_shares() {
  if (geteuid() == 0) return "/run/tessera";
  if (const char* own = std::getenv("XDG_RUNTIME_DIR"); own != nullptr && *own == '/')
    return std::string(own) + "/tessera";
  return "/tmp/tessera-" + std::to_string(geteuid());
}

std::unique_ptr<agent::ShareKeeper> make_share_keeper([[maybe_unused]] const std::string& folder,
                                                      [[maybe_unused]] const std::string& node) {
#ifdef TESSERA_HAS_GUARD
  return std::make_unique<agent::BrokeredShares>(
      std::filesystem::absolute(folder + "/" + node).string());
#else
  return nullptr;
#endif
}

}  // namespace tessera::app
