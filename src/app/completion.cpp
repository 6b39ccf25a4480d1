#include <fmt/core.h>

#include "app/commands.h"
#include "app/terminal.h"

namespace tessera::app {
namespace {

constexpr const char* kKinds = "requests leases gpus nodes pools tiers teams tokens";

std::string options_of(const CLI::App& app) {
  std::string words;
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames()) words += " --" + name;
  return words;
}

/// What the first word after a command may be: shell words, or a shell expression that lists them.
std::string subjects_of(const std::string& command) {
  if (command == "get" || command == "describe" || command == "delete") return kKinds;
  if (command == "explain" || command == "cancel" || command == "approve" || command == "reject")
    return "$(_tessera_names requests)";
  if (command == "release" || command == "renew") return "$(_tessera_names leases)";
  if (command == "cordon" || command == "uncordon") return "$(_tessera_names nodes)";
  return {};
}

constexpr const char* kScript = R"(# bash completion for tessera: source <(tessera completion)
_tessera_names() {{ tessera get "$1" -o name 2>/dev/null; }}
_tessera() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}
  local command=${{COMP_WORDS[1]}} words= subjects=
  case $before in
    --team) words=$(_tessera_names teams) ;;
    --pool) words=$(_tessera_names pools) ;;
    --tier) words=$(_tessera_names tiers) ;;
    --node) words=$(_tessera_names nodes) ;;
    --isolation) words="shared limited virtual partition dedicated" ;;
    --role) words="viewer member operator admin agent" ;;
    -o | --output) words="table wide json yaml name" ;;
    -f | --file | --context | --fleet | --data | --nodes | --pods | --nvml) ;;
    *)
      case $command in
{}        *) words="--help" ;;
      esac
      if ((COMP_CWORD == 1)); then words="{}"; fi
      if ((COMP_CWORD == 2)); then words="$subjects $words"; fi
      if ((COMP_CWORD == 3)) && [[ $command =~ ^(get|describe|delete)$ ]]; then
        words="$(_tessera_names "$before") $words"
      fi
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o default -F _tessera tessera
)";

/// Made from the declared commands, so it never lags behind them; names are asked for as they are
/// needed.
int completion(const CLI::App& cli) {
  std::string cases, commands;
  for (const auto* command : cli.get_subcommands([](const CLI::App*) { return true; })) {
    const auto& name = command->get_name();
    commands += (commands.empty() ? "" : " ") + name;
    cases += fmt::format("        {}) words=\"{}\"", name, options_of(*command).substr(1));
    if (const auto subjects = subjects_of(name); !subjects.empty())
      cases += fmt::format(" subjects=\"{}\"", subjects);
    cases += " ;;\n";
  }
  fmt::print(kScript, cases, commands);
  return kDone;
}

}  // namespace

void add_completion_command(Program& program) {
  auto* command = program.cli.add_subcommand(
      "completion", "Print the completion for bash: source <(tessera completion)");
  command->group(kOther);
  command->callback(
      [&program] { program.chosen = [&program] { return completion(program.cli); }; });
}

}  // namespace tessera::app
