#include <fmt/core.h>

#include "app/commands.h"
#include "app/output.h"
#include "app/terminal.h"
#include "client/join.h"
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
  std::string server;  ///< as others reach it; empty: as we do
  bool join = false;
  Format format = Format::kTable;
};

/// A team makes a member, a node an agent; the other roles stand for nobody in particular.
std::string role_of(const TokenOptions& options) {
  if (!options.role.empty()) return options.role;
  if (!options.team.empty()) return "member";
  return options.node.empty() ? "viewer" : "agent";
}

/// Prints what one machine may join with, once.
int print_join_token(const Json& made, client::Server server, const tls::Trust& trust) {
  const auto node = text_at(made, "spec.subject");
  fmt::print("{}\n",
             client::to_text({std::move(server), node, trust.pin, text_at(made, "status.secret")}));
  print_note(fmt::format("good for one join of node \"{}\" until {}; on that machine:", node,
                         text_at(made, "spec.expiresAt")));
  print_note("tessera agent --join TOKEN --nvml libnvidia-ml.so.1");
  return kDone;
}

/// Prints a context: what --context reads. The secret is told this once.
int make_token(Program& program, const TokenOptions& options) {
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  Json wish{{"name", options.name}, {"role", role_of(options)}};
  if (const auto& subject = options.team.empty() ? options.node : options.team; !subject.empty())
    wish["subject"] = subject;
  if (!options.duration.empty()) wish["expiresIn"] = options.duration;
  if (options.join) wish["join"] = true;
  auto server = (*connection)->context().server;
  if (!options.server.empty()) {
    auto named = client::parse_server(options.server);
    if (!named) return refuse(named.error());
    server = std::move(*named);
  }
  if (options.join && (!server.secure || (*connection)->context().trust.pin.empty()))
    return refuse({base::Reason::kInvalidDocument,
                   "agents join over https, and the context has no https address or no pin",
                   "--context", "use the context.yaml of a control plane started with --tls"});
  const auto made =
      fetch(**connection, {.method = "POST", .target = "/v1/tokens", .body = wish.dump()});
  if (!made) return refuse(made.error());
  if (!for_people(options.format)) {
    print_object(*made, options.format);
    return kDone;
  }
  const auto& own = (*connection)->context();
  if (options.join) return print_join_token(*made, server, own.trust);
  Json context{{"server", server.url()}, {"token", text_at(*made, "status.secret")}};
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
  auto* node = command->add_option("--node", options->node, "The agent of this node")
                   ->type_name("NODE")
                   ->excludes(team);
  command
      ->add_option("--role", options->role,
                   "viewer, member, operator, admin or agent (default: by --team or --node, else "
                   "viewer)")
      ->type_name("ROLE");
  command->add_option("--for", options->duration, "How long: 30d, 12h (default: without an end)")
      ->type_name("TIME");
  command
      ->add_flag("--join", options->join,
                 "Let the agent of --node join over https: prints what "
                 "`tessera agent --join` takes, good once and for an hour unless "
                 "--for says otherwise")
      ->needs(node);
  command
      ->add_option("--server", options->server,
                   "https://HOST:PORT as others reach it (default: as the context has it)")
      ->type_name("URL");
  add_format_option(*command, options->format);
  command->footer(
      "Example: let ada ask for team vision for a month\n"
      "  tessera token ada --team vision --for 30d > ada.yaml");
  command->callback([&program, options] {
    program.chosen = [&program, options] { return make_token(program, *options); };
  });
}

}  // namespace tessera::app
