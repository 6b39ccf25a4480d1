#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <link.h>
#include <memory>
#include <system_error>
#include <unistd.h>

#include <fmt/core.h>

#include "app/child.h"
#include "app/commands.h"
#include "app/terminal.h"
#include "base/quantity.h"

/// `tessera guard`: one command, and whatever it starts, within a part of a GPU.
namespace tessera::app {
namespace {

namespace fs = std::filesystem;
using base::fail;
using base::Reason;
using base::Result;

constexpr const char* kGuard = "libtessera-guard.so";
constexpr const char* kDriver = "libcuda.so.1";

struct GuardOptions {
  std::string memory;
  int compute = 0;  ///< 0: all of it
  std::string account, library, driver;
  std::vector<std::string> command;
};

/// A folder with the guard under the driver's name, and the account of one command; gone with it.
class GuardFolder {
 public:
  static Result<GuardFolder> make(const fs::path& guard) {
    std::error_code error;
    auto pattern = (fs::temp_directory_path(error) / "tessera-guard-XXXXXX").string();
    if (error || mkdtemp(pattern.data()) == nullptr)
      return fail(Reason::kUnavailable, "no folder can be made there", pattern,
                  "name one in TMPDIR that can be written to");
    GuardFolder folder(pattern);
    fs::create_symlink(guard, folder.path_ / kDriver, error);
    if (error)
      return fail(Reason::kUnavailable, error.message(), pattern, "see that it can hold links");
    return folder;
  }
  GuardFolder(GuardFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  GuardFolder& operator=(GuardFolder&&) = delete;
  ~GuardFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  std::string path() const { return path_.string(); }

 private:
  explicit GuardFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

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

Result<Ending> run_guarded(const GuardOptions& options) {
  std::map<std::string, std::string> environment;
  if (!options.memory.empty()) {
    const auto memory = base::parse_memory(options.memory);
    if (!memory) return std::unexpected(memory.error());
    environment["TESSERA_GUARD_MEMORY"] = fmt::format("{}MiB", memory->count());
  }
  if (options.compute > 0) environment["TESSERA_GUARD_COMPUTE"] = std::to_string(options.compute);
  const auto guard = find_guard(options.library);
  if (!guard) return std::unexpected(guard.error());
  const auto driver = find_driver(options.driver);
  if (!driver) return std::unexpected(driver.error());
  const auto folder = GuardFolder::make(*guard);
  if (!folder) return std::unexpected(folder.error());
  environment["TESSERA_GUARD_CUDA"] = *driver;
  environment["TESSERA_GUARD_SOCKET"] = "";  // what this command says counts, and no agent
  environment["TESSERA_GUARD_ACCOUNT"] = options.account.empty()
                                             ? folder->path() + "/account"
                                             : fs::absolute(options.account).string();
  environment["LD_LIBRARY_PATH"] = joined("LD_LIBRARY_PATH", folder->path(), true);
  environment["LD_PRELOAD"] = joined("LD_PRELOAD", guard->string(), false);
  return run_child({options.command, environment, {}});
}

int guard(const GuardOptions& options) {
  const auto ending = run_guarded(options);
  if (!ending) return refuse(ending.error());
  if (!ending->trouble.empty()) fmt::print(stderr, "error: {}\n", ending->trouble);
  return end_like(*ending);
}

}  // namespace

void add_guard_command(Program& program) {
  const auto options = std::make_shared<GuardOptions>();
  auto* command = program.cli.add_subcommand(
      "guard", "Keep a program within a part of a GPU: guard --memory 10GiB --compute 30 -- CMD…");
  command->group(kRunning);
  auto* limits = command->add_option_group("limits")->require_option(1, 2);
  limits
      ->add_option("--memory", options->memory,
                   "Most memory of each GPU, over all that the program starts")
      ->type_name("SIZE");
  limits
      ->add_option("--compute", options->compute,
                   "Most of a GPU's time, in percent, of each program")
      ->check(CLI::Range(1, 100))
      ->type_name("PERCENT");
  command
      ->add_option("--account", options->account,
                   "Share the memory with all that name this file (default: an account of its own)")
      ->type_name("FILE");
  command->add_option("--library", options->library, "The guard (default: beside this program)")
      ->type_name("FILE");
  command->add_option("--driver", options->driver, "The CUDA driver (default: libcuda.so.1)")
      ->envname("TESSERA_GUARD_CUDA")
      ->type_name("LIBRARY");
  command->add_option("command", options->command, "The program and its arguments")->required();
  command->callback(
      [&program, options] { program.chosen = [options] { return guard(*options); }; });
}

}  // namespace tessera::app
