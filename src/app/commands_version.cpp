#include <fmt/core.h>

#include "app/commands.h"
#include "app/output.h"
#include "app/terminal.h"

namespace tessera::app {
namespace {

int version(Format format) {
  if (format == Format::kJson || format == Format::kYaml)
    print_object({{"version", TESSERA_VERSION}}, format);
  else
    fmt::print("tessera {}\n", TESSERA_VERSION);
  return kDone;
}

}  // namespace

void add_version_command(Program& program) {
  const auto format = std::make_shared<Format>(Format::kTable);
  auto* version_command = program.cli.add_subcommand("version", "The version of this program");
  version_command->group(kOther);
  add_format_option(*version_command, *format);
  version_command->callback(
      [&program, format] { program.chosen = [format] { return version(*format); }; });
}

}  // namespace tessera::app
