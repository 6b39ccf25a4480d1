#include <algorithm>

#include <fmt/core.h>

#include "app/commands.h"
#include "app/output.h"
#include "app/terminal.h"

/// Verbs on one request, lease or node: `tessera VERB NAME`.
namespace tessera::app {
namespace {

using base::Result;
using wire::Json;
using namespace std::chrono_literals;

struct VerbOptions {
  std::string name;
  std::string extra;
  std::string message;
  Format format = Format::kTable;
  bool dry_run = false;
};

/// People know what they asked for: a request's name stands for its lease.
Result<std::string> lease_of(client::Connection& connection, const std::string& name) {
  if (!name.starts_with("req-")) return name;
  const auto request = fetch(connection, {.target = "/v1/requests/" + client::encode(name)});
  if (!request) return std::unexpected(request.error());
  const auto lease = text_at(*request, "status.lease");
  if (lease.empty())
    return base::fail(base::Reason::kWrongState,
                      name + " holds nothing, it is " + text_at(*request, "status.state"), "",
                      "to withdraw it: tessera cancel " + name);
  return lease;
}

/// A tier lends for so long at most: says so where less was added than was asked for.
void note_cut(const std::string& extra, const std::string& before, const Json& lease) {
  const auto wanted = base::parse_duration(extra);
  const auto was = base::parse_instant(before);
  const auto is = base::parse_instant(text_at(lease, "status.expiresAt"));
  if (wanted && was && is && *is - *was < *wanted)
    print_note(
        fmt::format("{} longer, not {}: a lease ends at the latest after its tier's longest "
                    "(tessera get tiers)",
                    base::to_string(std::max<base::Duration>(*is - *was, 0s)), extra));
}

int act(Program& program, const char* kind, const char* verb, const VerbOptions& options) {
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  auto name = std::string_view(kind) == "leases" ? lease_of(**connection, options.name)
                                                 : Result<std::string>(options.name);
  if (!name) return refuse(name.error());
  const auto target = fmt::format("/v1/{}/{}", kind, client::encode(*name));
  std::string end_before;
  if (!options.extra.empty()) {
    const auto before = fetch(**connection, {.target = target});
    if (!before) return refuse(before.error());
    end_before = text_at(*before, "status.expiresAt");
  }
  Json body;
  if (!options.extra.empty()) body["extra"] = options.extra;
  if (!options.message.empty()) body["message"] = options.message;
  const auto answer =
      fetch(**connection,
            {.method = "POST",
             .target = fmt::format("{}/{}{}", target, verb, options.dry_run ? "?dryRun=true" : ""),
             .body = body.is_null() ? "" : body.dump()});
  if (!answer) return refuse(answer.error());
  print_object(*answer, options.format);
  if (!for_people(options.format)) return kDone;
  if (!options.extra.empty()) note_cut(options.extra, end_before, *answer);
  if (options.dry_run) print_note("dry run: nothing was changed");
  return kDone;
}

/// `tessera VERB NAME`, posted to /v1/KIND/NAME/VERB.
std::shared_ptr<VerbOptions> add_verb(Program& program, const char* verb, const char* kind,
                                      const char* help) {
  const auto options = std::make_shared<VerbOptions>();
  auto* command = program.cli.add_subcommand(verb, help);
  command->group(std::string_view(kind) == "leases" ? kAsking : kOperating);
  command
      ->add_option("name", options->name,
                   std::string_view(kind) == "leases" ? "The lease, or its request" : "Its name")
      ->required()
      ->type_name("NAME");
  command->add_flag("--dry-run", options->dry_run, "Say what would happen, change nothing");
  add_format_option(*command, options->format);
  command->callback([&program, kind, verb, options] {
    program.chosen = [&program, kind, verb, options] { return act(program, kind, verb, *options); };
  });
  return options;
}

}  // namespace

void add_verb_commands(Program& program) {
  add_verb(program, "cancel", "requests", "Cancel a request, whatever its state");
  program.cli.get_subcommand("cancel")->group(kAsking);
  add_verb(program, "approve", "requests", "Approve a request that waits for it");
  const auto rejected =
      add_verb(program, "reject", "requests", "Reject a request that waits for approval");
  program.cli.get_subcommand("reject")
      ->add_option("--message", rejected->message, "Why")
      ->type_name("TEXT");
  add_verb(program, "release", "leases", "Give a lease back");
  const auto renewed = add_verb(program, "renew", "leases", "Move the end of a lease");
  program.cli.get_subcommand("renew")
      ->add_option("--for", renewed->extra, "How much longer: 4h")
      ->required()
      ->type_name("TIME");
  add_verb(program, "cordon", "nodes", "Grant nothing new on a node");
  add_verb(program, "uncordon", "nodes", "Take a node back into service");
}

}  // namespace tessera::app
