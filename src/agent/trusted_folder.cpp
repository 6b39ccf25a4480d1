#include "agent/trusted_folder.h"

#include <unistd.h>

#include <sys/stat.h>

namespace tessera::agent {

base::Result<void> check_trusted(const std::filesystem::path& folder) {
  // What a link leads to was chosen by its owner; its own mode says nothing.
  struct stat name {
  }, found{};
  const bool there = lstat(folder.c_str(), &name) == 0 && stat(folder.c_str(), &found) == 0;
  const auto is_ours = [](const struct stat& status) {
    return status.st_uid == geteuid() || status.st_uid == 0;
  };
  const bool ours = there && is_ours(name) && is_ours(found);
  if (ours && (found.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return base::fail(base::Reason::kUnavailable,
                    ours    ? "others may write to it"
                    : there ? "it is another user's"
                            : "it is not there",
                    folder.string(), "name a folder for shares that is yours alone, or root's");
}

}  // namespace tessera::agent
