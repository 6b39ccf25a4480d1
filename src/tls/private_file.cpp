#include "tls/private_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

#include <sys/stat.h>

namespace tessera::tls {

base::Result<void> write_private_file(const std::string& path, const std::string& text,
                                      mode_t mode) {
  const auto fresh = path + ".new";
  const auto failed = [&] {
    return base::fail(base::Reason::kUnavailable,
                      std::string("cannot write it: ") + std::strerror(errno), path,
                      "check the folder's permissions and its disk");
  };
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (file < 0) return failed();
  const bool whole = ::fchmod(file, mode) == 0 &&
                     ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                     ::fsync(file) == 0;
  ::close(file);
  if (!whole || ::rename(fresh.c_str(), path.c_str()) != 0) return failed();
  const auto parent = std::filesystem::path(path).parent_path();
  const int folder =
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return failed();
  const bool kept = ::fsync(folder) == 0;
  ::close(folder);
  if (!kept) return failed();
  return {};
}

}  // namespace tessera::tls
