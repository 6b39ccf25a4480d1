#include "journal/file_lock.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <sys/file.h>

namespace tessera::journal {
namespace {

std::string message_of(int error) {
  return std::system_category().message(error);
}

/// The process id that a holder wrote, for people; "another process" where it cannot be read.
std::string holder_in(int file) {
  std::array<char, 20> text{};
  const ssize_t size = ::pread(file, text.data(), text.size(), 0);
  std::string digits(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  digits.resize(std::min(digits.size(), digits.find_first_not_of("0123456789")));
  return digits.empty() ? "another process" : "process " + digits;
}

}  // namespace

base::Result<FileLock> FileLock::take(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) {
    return base::fail(base::Reason::kUnavailable, "cannot be opened: " + message_of(errno), path,
                      "make the folder writable for this user");
  }
  FileLock lock(file);
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return base::fail(base::Reason::kConflict, "is in use by " + holder_in(file), path,
                        "stop that server, or start this one with a folder of its own");
    }
    return base::fail(base::Reason::kUnavailable, "cannot be locked: " + message_of(errno), path,
                      "keep the journal on a local file system");
  }
  // Only a help for people: on a full disk the lock holds all the same.
  const std::string pid = std::to_string(::getpid()) + "\n";
  [[maybe_unused]] const bool noted =
      ::ftruncate(file, 0) == 0 && ::pwrite(file, pid.data(), pid.size(), 0) > 0;
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

FileLock::~FileLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace tessera::journal
