#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>

#include <fmt/core.h>

#include "app/commands.h"
#include "app/terminal.h"
#include "wire/text.h"

namespace tessera::app {

base::Result<client::Connection*> Program::connect() {
  if (connection_) return connection_.get();
  if (context_file.empty())
    return base::fail(base::Reason::kUnavailable, "which control plane?", "--context",
                      "name the context.yaml that `tessera up` wrote, with --context FILE or "
                      "TESSERA_CONTEXT=FILE, or keep it as ~/.config/tessera/context.yaml");
  auto context = client::read_context(context_file);
  if (!context) return std::unexpected(context.error());
  connection_ = std::make_unique<client::Connection>(std::move(*context));
  return connection_.get();
}

base::Result<wire::Json> fetch(client::Connection& connection, const client::Call& call) {
  const auto answer = connection.ask(call);
  if (!answer) return std::unexpected(answer.error());
  auto json = wire::Json::parse(answer->body, nullptr, false);
  if (json.is_discarded())
    return base::fail(base::Reason::kInternal, "the answer is not JSON", call.target,
                      "check that the address is that of a Tessera control plane");
  return json;
}

namespace {

/// TESSERA_CONTEXT, else the file in the user's own configuration, where there is one.
std::string default_context() {
  if (const char* named = std::getenv("TESSERA_CONTEXT")) return named;
  std::filesystem::path folder;
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && *config != '\0')
    folder = config;
  else if (const char* home = std::getenv("HOME"))
    folder = std::filesystem::path(home) / ".config";
  else
    return {};
  const auto file = folder / "tessera" / "context.yaml";
  std::error_code none;
  return std::filesystem::exists(file, none) ? file.string() : std::string();
}

std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
  const std::vector<std::string_view> words(known.begin(), known.end());
  const auto near = wire::nearest(word, words);
  return near ? "did you mean " + std::string(*near) + "?" : std::string();
}

int usage_error(std::string_view what, const std::string& todo, const CLI::App& command) {
  const bool whole = command.get_parent() == nullptr;
  fmt::print(stderr, "error: {}\n", what);
  if (!todo.empty()) fmt::print(stderr, "  {}\n", todo);
  fmt::print(stderr, "  see `tessera{} --help`\n", whole ? "" : " " + command.get_name());
  return kUsage;
}

/// The first word that is no option is the command; --context is the only option before it.
std::optional<std::string> command_word(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--context")
      ++i;
    else if (!word.starts_with('-'))
      return std::string(word);
  }
  return std::nullopt;
}

/// An option that the command does not have, with the one that was probably meant.
int unknown_argument(const CLI::App& command, int argc, char** argv, const char* otherwise) {
  std::vector<std::string> known;
  for (const auto* option : command.get_options())
    for (const auto& name : option->get_lnames()) known.push_back("--" + name);
  for (int i = 1; i < argc; ++i) {
    const std::string word = std::string(argv[i]).substr(0, std::string_view(argv[i]).find('='));
    if (!word.starts_with("--") || word == "--context" || std::ranges::count(known, word) > 0)
      continue;
    return usage_error("there is no option " + word, suggestion(word, known), command);
  }
  if (argv[1][0] == '-')
    return usage_error("options come after the command",
                       "as in: tessera " + command.get_name() + " … " + argv[1], command);
  return usage_error(otherwise, {}, command);
}

int explain_usage(const Program& program, const CLI::ParseError& error, int argc, char** argv) {
  const auto& cli = program.cli;
  if (error.get_exit_code() == 0) {
    cli.exit(error);  // prints what --help or --version asked for
    return kDone;
  }
  const auto word = command_word(argc, argv);
  if (!word) {
    if (argc > 1) return usage_error(error.what(), {}, cli);
    fmt::print("{}", cli.help());
    return kUsage;
  }
  const auto chosen = cli.get_subcommands();
  if (chosen.empty()) {
    std::vector<std::string> names;
    for (const auto* each : cli.get_subcommands([](const CLI::App*) { return true; }))
      names.push_back(each->get_name());
    if (std::ranges::count(names, *word) == 0)
      return usage_error("there is no command \"" + *word + "\"", suggestion(*word, names), cli);
    return usage_error(error.what(), {}, cli);
  }
  const auto& command = *chosen.front();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr)
    return unknown_argument(command, argc, argv, error.what());
  return usage_error(error.what(), {}, command);
}

int run(int argc, char** argv) {
  Program program;
  auto& cli = program.cli;
  cli.require_subcommand(1);
  cli.fallthrough();
  cli.set_version_flag("--version", "tessera " TESSERA_VERSION, "Print the version");
  cli.add_option("--context", program.context_file,
                 "Of every command: file with server and token (default: TESSERA_CONTEXT, else "
                 "~/.config/tessera/context.yaml)")
      ->type_name("FILE");
  program.context_file = default_context();
  // The order of the headings and of the commands below them.
  add_asking_commands(program);
  add_object_commands(program);
  add_verb_commands(program);
  add_token_command(program);
  add_serving_commands(program);
  add_doctor_command(program);
  add_plan_command(program);
  add_run_command(program);
  add_guard_command(program);
  add_simulate_command(program);
  add_completion_command(program);
  add_capacity_command(program);
  add_version_command(program);
  cli.footer(
      "A first look: tessera up --fleet examples/three-tier.yaml\n"
      "Any command: tessera COMMAND --help");
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return explain_usage(program, error, argc, argv);
  }
  return program.chosen();
}

}  // namespace
}  // namespace tessera::app

int main(int argc, char** argv) {
  try {
    return tessera::app::run(argc, argv);
  } catch (const std::exception& error) {
    // A broken promise of our own code, or no memory: nothing left to do but say so.
    fmt::print(stderr, "tessera: internal error: {}\n", error.what());
    return 70;
  }
}
