#include <filesystem>
#include <map>
#include <memory>

#include <fmt/core.h>

#include "app/child.h"
#include "app/commands.h"
#include "app/guarded_start.h"
#include "app/terminal.h"
#include "base/quantity.h"

/// `tessera guard`: one command, and whatever it starts, within a part of a GPU.
namespace tessera::app {
namespace {

using base::Result;

struct GuardOptions {
  std::string memory;
  int compute = 0;  ///< 0: all of it
  std::string account, library, driver;
  std::vector<std::string> command;
};

Result<Ending> run_guarded(const GuardOptions& options) {
  std::map<std::string, std::string> environment;
  if (!options.memory.empty()) {
    const auto memory = base::parse_memory(options.memory);
    if (!memory) return std::unexpected(memory.error());
    environment["TESSERA_GUARD_MEMORY"] = fmt::format("{}MiB", memory->count());
  }
  if (options.compute > 0) environment["TESSERA_GUARD_COMPUTE"] = std::to_string(options.compute);
  const auto start = GuardedStart::prepare(options.library, options.driver);
  if (!start) return std::unexpected(start.error());
  environment.insert(start->environment().begin(), start->environment().end());
  environment["TESSERA_GUARD_SOCKET"] = "";  // what this command says counts, and no agent
  environment["TESSERA_GUARD_ACCOUNT"] = options.account.empty()
                                             ? start->folder() + "/account"
                                             : std::filesystem::absolute(options.account).string();
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
