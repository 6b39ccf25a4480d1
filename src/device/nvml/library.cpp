#include "device/nvml/library.h"

#include <array>
#include <cstdlib>
#include <dlfcn.h>
#include <utility>

namespace tessera::device::nvml {
namespace {

using base::fail;
using base::Reason;

constexpr int kOldestDriver = 470;

std::string loader_error() {
  const char* text = dlerror();
  return text == nullptr ? "unknown error" : text;
}

struct Meaning {
  abi::Return code;
  ErrorCode error;
  const char* text;
};
constexpr std::array kMeanings = {
    Meaning{abi::kInvalidArgument, ErrorCode::kInvalidPlacement, "the driver does not accept it"},
    Meaning{abi::kNotSupported, ErrorCode::kNotSupported, "not supported here"},
    Meaning{abi::kNoPermission, ErrorCode::kNotPermitted, "this user may not; run as root"},
    Meaning{abi::kNotFound, ErrorCode::kNotFound, "not found"},
    Meaning{abi::kTimeout, ErrorCode::kTimeout, "the driver gave up waiting"},
    Meaning{abi::kGpuIsLost, ErrorCode::kGpuLost, "the GPU has fallen off the bus"},
    Meaning{abi::kResetRequired, ErrorCode::kUnknown, "the GPU has to be reset first"},
    Meaning{abi::kInUse, ErrorCode::kInUse, "another client uses it"},
    Meaning{abi::kInsufficientResources, ErrorCode::kNoRoom, "insufficient resources"},
    Meaning{abi::kInvalidState, ErrorCode::kWrongOrder, "not in this state"},
    Meaning{abi::kNotReady, ErrorCode::kUnknown, "the machine is not ready"},
};

base::Error init_error(abi::Return code) {
  switch (code) {
    case abi::kDriverNotLoaded:
      return {Reason::kUnavailable, "the NVIDIA kernel driver is not loaded", "nvmlInit",
              "load it (modprobe nvidia) and look at dmesg if it does not stay"};
    case abi::kNoPermission:
      return {Reason::kForbidden, "this user may not talk to the NVIDIA driver", "nvmlInit",
              "run as root, or give the user access to /dev/nvidia*"};
    case abi::kVersionMismatch:
      return {Reason::kUnavailable, "the NVML library and the kernel driver differ in version",
              "nvmlInit", "reboot, or load the driver that was installed"};
    default:
      return {Reason::kUnavailable, "NVML does not start: error " + std::to_string(code),
              "nvmlInit", "see dmesg and nvidia-smi"};
  }
}

}  // namespace

base::Result<std::shared_ptr<const Library>> Library::open(const std::string& path) {
  std::shared_ptr<Library> library(new Library);
  if (auto loaded = library->load(path); !loaded) return std::unexpected(loaded.error());
  if (auto ready = library->initialise(); !ready) return std::unexpected(ready.error());
  return library;
}

Library::~Library() {
  if (initialised_) functions_.nvmlShutdown();
  if (handle_ != nullptr) dlclose(handle_);
}

base::Result<void> Library::load(const std::string& path) {
  handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ == nullptr)
    return fail(Reason::kUnavailable, "cannot load the NVML library: " + loader_error(), path,
                "install the NVIDIA driver, or name the library with --nvml PATH");
  const char* missing = nullptr;
  const auto find = [&](const char* name, auto& pointer, bool required) {
    void* symbol = dlsym(handle_, name);
    if (symbol == nullptr && required && missing == nullptr) missing = name;
    pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(symbol);
  };
#define TESSERA_FIND_REQUIRED(name, parameters) find(#name, functions_.name, true);
#define TESSERA_FIND_OPTIONAL(name, parameters) find(#name, functions_.name, false);
  TESSERA_NVML_REQUIRED(TESSERA_FIND_REQUIRED)
  TESSERA_NVML_OPTIONAL(TESSERA_FIND_OPTIONAL)
  TESSERA_NVML_SINCE_615(TESSERA_FIND_OPTIONAL)
#undef TESSERA_FIND_REQUIRED
#undef TESSERA_FIND_OPTIONAL
  if (missing != nullptr)
    return fail(Reason::kUnavailable,
                std::string("the library has no ") + missing + ": too old a driver, or no NVML",
                path, "Tessera needs driver 470 or newer");
  return {};
}

base::Result<void> Library::initialise() {
  if (const auto code = functions_.nvmlInitWithFlags(0); code != abi::kSuccess)
    return std::unexpected(init_error(code));
  initialised_ = true;
  std::array<char, abi::kVersionLength> version{};
  if (functions_.nvmlSystemGetDriverVersion(version.data(), version.size()) == abi::kSuccess)
    driver_version_ = version.data();
  if (std::atoi(driver_version_.c_str()) < kOldestDriver)
    return fail(Reason::kUnavailable, "driver " + driver_version_ + " is too old", {},
                "Tessera needs driver 470 or newer");
  return {};
}

Error error_of(abi::Return code, std::string_view doing) {
  const std::string start(doing);
  for (const auto& meaning : kMeanings)
    if (meaning.code == code) return {meaning.error, start + ": " + meaning.text};
  return {ErrorCode::kUnknown, start + ": NVML error " + std::to_string(code)};
}

}  // namespace tessera::device::nvml
