#pragma once

#include <string>

#include "base/result.h"

namespace tessera::journal {

/// Holds a file so that no second process can: two servers on one journal would each believe that
/// they alone decide. The operating system lets go when the process ends, however it ends.
/// The file's content is the holder's process id, for the error the other one gets.
class FileLock {
 public:
  /// Does not wait. Errors: kConflict (held, by whom), kUnavailable (cannot be made).
  static base::Result<FileLock> take(const std::string& path);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int file) : file_(file) {}
  int file_ = -1;
};

}  // namespace tessera::journal
