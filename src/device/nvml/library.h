#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "device/driver.h"
#include "device/nvml/functions.h"

/// libnvidia-ml.so.1, loaded at run time: Tessera runs on machines without one.
namespace tessera::device::nvml {

/// The functions as found in the library; optional ones are nullptr where it lacks them.
struct Functions {
#define TESSERA_POINTER(name, parameters) abi::Return(*name) parameters = nullptr;
  TESSERA_NVML_REQUIRED(TESSERA_POINTER)
  TESSERA_NVML_OPTIONAL(TESSERA_POINTER)
  TESSERA_NVML_SINCE_615(TESSERA_POINTER)
#undef TESSERA_POINTER
};

/// A loaded and initialised library. It stays loaded as long as anybody holds it, so that a call
/// that never comes back keeps the code under its feet.
///
/// Threads: NVML may be called from any thread.
class Library {
 public:
  /// Loads `path`, by the loader's rules where it is a plain name. Errors say which of these it is:
  /// no library, too old a driver, the driver is not loaded, this user may not use it, library and
  /// kernel driver differ. May block as long as the driver does.
  static base::Result<std::shared_ptr<const Library>> open(const std::string& path);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const Functions& call() const { return functions_; }
  const std::string& driver_version() const { return driver_version_; }

 private:
  Library() = default;
  base::Result<void> load(const std::string& path);
  base::Result<void> initialise();

  void* handle_ = nullptr;
  bool initialised_ = false;
  Functions functions_;
  std::string driver_version_;
};

/// What NVML's answer means to an agent. `doing` begins the sentence: "creating a GPU instance".
Error error_of(abi::Return code, std::string_view doing);

}  // namespace tessera::device::nvml
