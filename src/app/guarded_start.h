#pragma once

#include <map>
#include <string>

#include "base/result.h"

/// Starting programs under the guard: the guard in a folder of its own under the driver's name,
/// first on the library path, and preloaded.
namespace tessera::app {

/// The folder, and what a program's environment needs. The folder goes with it. One thread.
class GuardedStart {
 public:
  /// `library`, `driver`: files; empty: the guard beside this program, or installed with it, and
  /// the driver that programs get without the guard. Errors (kUnavailable): there is none.
  static base::Result<GuardedStart> prepare(const std::string& library, const std::string& driver);
  GuardedStart(GuardedStart&& other) noexcept;
  GuardedStart& operator=(GuardedStart&&) = delete;
  ~GuardedStart();

  /// Limits are the caller's to add.
  const std::map<std::string, std::string>& environment() const { return environment_; }
  const std::string& folder() const { return folder_; }

 private:
  explicit GuardedStart(std::string folder) : folder_(std::move(folder)) {}

  std::string folder_;  ///< empty: moved away
  std::map<std::string, std::string> environment_;
};

/// Whether programs find a CUDA driver here at all.
bool has_cuda_driver(const std::string& named);

}  // namespace tessera::app
