#include <fmt/core.h>

#include "app/commands.h"
#include "app/output.h"
#include "app/terminal.h"
#include "wire/yaml.h"

/// `tessera token`: lets somebody else in.
namespace tessera::app {
namespace {

using wire::Json;

struct TokenOptions {
  std::string name;
  std::string role;
  std::string team;
  std::string node;
  std::string duration;
  Format format = Format::kTable;
};

/// A team makes a member, a node an agent; the other roles stand for nobody in particular.
std::string role_of(const TokenOptions& options) {
  if (!options.role.empty()) return options.role;
  if (!options.team.empty()) return "member";
  return options.node.empty() ? "viewer" : "agent";
}

/// Prints a context: what --context reads. The secret is told this once.
int make_token(Program& program, const TokenOptions& options) {
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  Json wish{{"name", options.name}, {"role", role_of(options)}};
  if (const auto& subject = options.team.empty() ? options.node : options.team; !subject.empty())
    wish["subject"] = subject;
  if (!options.duration.empty()) wish["expiresIn"] = options.duration;
  const auto made =
      fetch(**connection, {.method = "POST", .target = "/v1/tokens", .body = wish.dump()});
  if (!made) return refuse(made.error());
  if (!for_people(options.format)) {
    print_object(*made, options.format);
    return kDone;
  }
  const auto& own = (*connection)->context();
  Json context{{"server", own.server.url()}, {"token", text_at(*made, "status.secret")}};
  if (!own.trust.pin.empty()) context["pin"] = own.trust.pin;
  if (!own.trust.ca.empty()) context["ca"] = own.trust.ca;
  fmt::print("{}", wire::to_yaml(context));
  const auto expires = text_at(*made, "spec.expiresAt");
  print_note(fmt::format("{} token \"{}\", {}; the secret is not shown again",
                         text_at(*made, "spec.role"), options.name,
                         expires.empty() ? "without an end" : "for " + options.duration));
  print_note("kept in a file, these lines are a context: tessera --context FILE get requests");
  return kDone;
}

}  // namespace

void add_token_command(Program& program) {
  const auto options = std::make_shared<TokenOptions>();
  auto* command = program.cli.add_subcommand(
      "token", "Make a token for somebody: prints a context with it, once");
  command->group(kOperating);
  command->add_option("name", options->name, "What to call it")->required()->type_name("NAME");
  auto* team =
      command->add_option("--team", options->team, "A member of this team")->type_name("TEAM");
  command->add_option("--node", options->node, "The agent of this node")
      ->type_name("NODE")
      ->excludes(team);
  command
      ->add_option("--role", options->role,
                   "viewer, member, operator, admin or agent (default: by --team or --node, else "
                   "viewer)")
      ->type_name("ROLE");
  command->add_option("--for", options->duration, "How long: 30d, 12h (default: without an end)")
      ->type_name("TIME");
  add_format_option(*command, options->format);
  command->footer(
      "Example: let ada ask for team vision for a month\n"
      "  tessera token ada --team vision --for 30d > ada.yaml");
  command->callback([&program, options] {
    program.chosen = [&program, options] { return make_token(program, *options); };
  });
}

}  // namespace tessera::app
