#include <fmt/core.h>

#include "app/commands.h"
#include "app/terminal.h"

namespace tessera::app {
namespace {

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames()) words += " --" + name;
  return words;
}

/// A bash completion made from the declared commands, so it never lags behind them.
int completion(const CLI::App& cli) {
  std::string cases, commands;
  for (const auto* command : cli.get_subcommands([](const CLI::App*) { return true; })) {
    commands += " " + command->get_name();
    cases += fmt::format("    {}) words=\"{}{}\" ;;\n", command->get_name(), words_of(*command),
                         command->get_name() == "get" || command->get_name() == "describe"
                             ? " requests leases gpus nodes pools tiers teams tokens"
                             : "");
  }
  fmt::print(
      "# bash completion for tessera: source <(tessera completion)\n"
      "_tessera() {{\n"
      "  local words current=${{COMP_WORDS[COMP_CWORD]}}\n"
      "  case ${{COMP_WORDS[1]}} in\n"
      "{}"
      "    *) words=\"{}\" ;;\n"
      "  esac\n"
      "  if ((COMP_CWORD == 1)); then words=\"{}\"; fi\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "}}\n"
      "complete -o default -F _tessera tessera\n",
      cases, commands, commands);
  return kDone;
}

}  // namespace

void add_completion_command(Program& program) {
  auto* command = program.cli.add_subcommand(
      "completion", "Print the shell completion: source <(tessera completion)");
  command->callback(
      [&program] { program.chosen = [&program] { return completion(program.cli); }; });
}

}  // namespace tessera::app
