#include "app/guarded_start.h"

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <link.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace tessera::app {
namespace {

namespace fs = std::filesystem;
using base::fail;
using base::Reason;
using base::Result;

constexpr const char* kGuard = "libtessera-guard.so";
constexpr const char* kDriver = "libcuda.so.1";

/// Beside the program as it is built, or where it is installed.
Result<fs::path> find_guard(const std::string& named) {
  std::error_code error;
  if (!named.empty()) {
    if (fs::exists(named, error)) return fs::canonical(named, error);
    return fail(Reason::kUnavailable, "there is no such file", named,
                "name libtessera-guard.so with --library");
  }
  const auto folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& each : {folder / "guard" / kGuard, folder / ".." / "lib" / "tessera" / kGuard})
    if (fs::exists(each, error)) return fs::canonical(each, error);
  return fail(Reason::kUnavailable, "the guard is not beside this program", folder.string(),
              "build libtessera-guard.so, or name it with --library");
}

/// The file of the driver that programs would get: under the guard, its name leads to the guard.
Result<std::string> find_driver(const std::string& named) {
  const auto* asked = named.empty() ? kDriver : named.c_str();
  void* library = dlopen(asked, RTLD_LAZY | RTLD_LOCAL);
  const link_map* found = nullptr;
  if (library == nullptr || dlinfo(library, RTLD_DI_LINKMAP, &found) != 0)
    return fail(Reason::kUnavailable, std::string("no CUDA driver: ") + dlerror(), asked,
                "install one, or name it with --driver");
  std::error_code error;
  return fs::canonical(found->l_name, error).string();
}

std::string joined(const char* variable, const std::string& more, bool in_front) {
  const char* there = std::getenv(variable);
  if (there == nullptr || *there == '\0') return more;
  return in_front ? more + ":" + there : std::string(there) + ":" + more;
}

}  // namespace

GuardedStart::GuardedStart(GuardedStart&& other) noexcept
    : folder_(std::exchange(other.folder_, {})), environment_(std::move(other.environment_)) {}

GuardedStart::~GuardedStart() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

Result<GuardedStart> GuardedStart::prepare(const std::string& library, const std::string& driver) {
  const auto guard = find_guard(library);
  if (!guard) return std::unexpected(guard.error());
  const auto real = find_driver(driver);
  if (!real) return std::unexpected(real.error());
  std::error_code error;
  auto pattern = (fs::temp_directory_path(error) / "tessera-guard-XXXXXX").string();
  if (error || mkdtemp(pattern.data()) == nullptr)
    return fail(Reason::kUnavailable, "no folder can be made there", pattern,
                "name one in TMPDIR that can be written to");
  GuardedStart start(pattern);
  fs::create_symlink(*guard, fs::path(pattern) / kDriver, error);
  if (error)
    return fail(Reason::kUnavailable, error.message(), pattern, "see that it can hold links");
  start.environment_ = {{"TESSERA_GUARD_CUDA", *real},
                        {"LD_LIBRARY_PATH", joined("LD_LIBRARY_PATH", pattern, true)},
                        {"LD_PRELOAD", joined("LD_PRELOAD", guard->string(), false)}};
  return start;
}

bool has_cuda_driver(const std::string& named) {
  return find_driver(named).has_value();
}

}  // namespace tessera::app
