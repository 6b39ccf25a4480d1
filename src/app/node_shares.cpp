#include "app/node_shares.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <grp.h>
#include <optional>
#include <unistd.h>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/trusted_folder.h"

#ifdef TESSERA_HAS_GUARD
#include "agent/brokered_shares.h"
#endif

namespace tessera::app {

using base::fail;
using base::Reason;

namespace {

constexpr const char* kRootsShares = "/run/tessera";

#ifdef TESSERA_HAS_GUARD
/// A file for each program that runs under the guard: more than the kernel gives unasked, where it
/// gives more.
void take_files() {
  constexpr rlim_t kEnough = 65'536;
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= kEnough) return;
  files.rlim_cur = std::min(files.rlim_max, kEnough);
  setrlimit(RLIMIT_NOFILE, &files);
}
#endif

}  // namespace

std::string default_shares() {
  if (geteuid() == 0) return kRootsShares;
  if (const char* own = std::getenv("XDG_RUNTIME_DIR"); own != nullptr && *own == '/')
    return std::string(own) + "/tessera";
  return "/tmp/tessera-" + std::to_string(geteuid());
}

base::Result<std::shared_ptr<agent::ShareKeeper>> make_share_keeper(
    const SharesChoice& choice, [[maybe_unused]] const std::string& node,
    [[maybe_unused]] std::shared_ptr<device::nvml::MemoryLimits> limits) {
  std::optional<gid_t> group;
  if (!choice.group.empty()) {
    const auto* found = getgrnam(choice.group.c_str());
    if (found == nullptr)
      return fail(Reason::kUnknownObject, "there is no such group here", choice.group,
                  "name one that getent group shows");
    group = found->gr_gid;
  }
#ifdef TESSERA_HAS_GUARD
  take_files();
  return std::make_shared<agent::BrokeredShares>(
      std::filesystem::absolute(choice.folder + "/" + node).string(), group, std::move(limits));
#else
  return nullptr;
#endif
}

base::Result<std::string> find_share_socket(const std::string& folder, const std::string& node,
                                            const std::string& lease) {
  const auto folders = folder.empty() ? std::vector<std::string>{default_shares(), kRootsShares}
                                      : std::vector<std::string>{folder};
  for (const auto& each : folders) {
    const auto path = std::filesystem::absolute(each + "/" + node + "/" + lease).string();
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) continue;
    const auto place = std::filesystem::path(path).parent_path();
    for (const auto& holds : {place, place.parent_path()})
      if (auto safe = agent::check_trusted(holds); !safe) return std::unexpected(safe.error());
    if (status.st_uid != 0 && status.st_uid != geteuid())
      return fail(Reason::kUnavailable,
                  "whoever holds the lease to its share is neither you nor root", path,
                  "run it as that user, or have root run the agent");
    if (access(path.c_str(), W_OK) != 0)
      return fail(Reason::kUnavailable, "programs of yours may not come to this lease's share",
                  path, "have the agent started with --shares-group and a group that you are in");
    return path;
  }
  return fail(Reason::kUnavailable,
              lease +
                  " promises that all on its GPU keep within their shares, and no agent holds "
                  "it to its own",
              folders.front() + "/" + node,
              "start the agent of this machine with --shares, or name its folder here");
}

}  // namespace tessera::app
