#include <algorithm>
#include <map>
#include <optional>

#include <fmt/core.h>

#include "app/commands.h"
#include "app/describe.h"
#include "app/files.h"
#include "app/filters.h"
#include "app/output.h"
#include "app/terminal.h"
#include "wire/document.h"
#include "wire/spec.h"

namespace tessera::app {
namespace {

using base::Result;
using wire::Json;
using namespace std::chrono_literals;

// --- apply and diff ---------------------------------------------------------------------------

struct ApplyOptions {
  std::string file;
  Format format = Format::kTable;
  bool dry_run = false;
};

Result<Json> post_documents(Program& program, const std::string& file, bool dry_run) {
  const auto catalog = catalog::Catalog::built_in();
  const auto documents = read_documents(file, catalog);
  if (!documents) return std::unexpected(documents.error());
  Json body{{"documents", Json::array()}};
  for (const auto& document : *documents)
    body["documents"].push_back(wire::document_of(document.object, catalog));
  auto connection = program.connect();
  if (!connection) return std::unexpected(connection.error());
  return fetch(**connection, {.method = "POST",
                              .target = dry_run ? "/v1/apply?dryRun=true" : "/v1/apply",
                              .body = body.dump()});
}

int apply(Program& program, const ApplyOptions& options) {
  const auto result = post_documents(program, options.file, options.dry_run);
  if (!result) return refuse(result.error());
  if (options.format == Format::kJson || options.format == Format::kYaml) {
    print_object(*result, options.format);
    return kDone;
  }
  std::size_t unchanged = 0;
  for (const auto& item : result->at("items")) {
    // What stays as it was is counted: a list of it would hide what does not.
    const bool same = text_at(item, "change") == "unchanged";
    if (same) ++unchanged;
    if (!same || options.format == Format::kWide || options.format == Format::kName)
      fmt::print("{}/{} {}{}\n", text_at(item, "kind"), text_at(item, "name"),
                 text_at(item, "change"), options.dry_run ? " (dry run)" : "");
  }
  if (unchanged > 0 && options.format == Format::kTable)
    fmt::print("{} unchanged{}\n", unchanged, options.dry_run ? " (dry run)" : "");
  return kDone;
}

/// The lines of `spec` that differ, as "- key: old" and "+ key: new".
void print_spec_diff(const Json& before, const Json& after) {
  const auto flat = [](const Json& object) {
    std::map<std::string, std::string> lines;
    const Json spec = object.is_null() ? Json::object() : object.value("spec", Json::object());
    const Json flattened = spec.flatten();
    for (const auto& [path, value] : flattened.items())
      lines["spec" + path] = value.is_string() ? value.get<std::string>() : value.dump();
    return lines;
  };
  const auto old_lines = flat(before), new_lines = flat(after);
  for (const auto& [path, value] : old_lines)
    if (const auto now = new_lines.find(path); now == new_lines.end() || now->second != value)
      fmt::print("{}\n", paint(fmt::format("  - {}: {}", path, value), Colour::kRed));
  for (const auto& [path, value] : new_lines)
    if (const auto was = old_lines.find(path); was == old_lines.end() || was->second != value)
      fmt::print("{}\n", paint(fmt::format("  + {}: {}", path, value), Colour::kGreen));
}

/// 0: nothing would change; 1: something would; 2: it could not be found out.
int diff(Program& program, const ApplyOptions& options) {
  const auto result = post_documents(program, options.file, true);
  if (!result) return refuse(result.error(), kUsage);
  if (options.format == Format::kJson || options.format == Format::kYaml)
    print_object(*result, options.format);
  bool changes = false;
  for (const auto& item : result->at("items")) {
    if (text_at(item, "change") == "unchanged") continue;
    changes = true;
    if (options.format != Format::kTable && options.format != Format::kWide) continue;
    fmt::print("{}/{} {}\n", text_at(item, "kind"), text_at(item, "name"), text_at(item, "change"));
    print_spec_diff(item.value("before", Json()), item.value("after", Json()));
  }
  if (!changes && for_people(options.format)) print_hint("nothing would change");
  return changes ? kChanges : kDone;
}

// --- get, describe, delete --------------------------------------------------------------------

/// "request", "requests" and "req" all mean /v1/requests.
Result<std::string> path_of_kind(const std::string& word) {
  static const std::map<std::string, std::string> kPaths = {
      {"tier", "tiers"},        {"tiers", "tiers"},  {"team", "teams"},    {"teams", "teams"},
      {"pool", "pools"},        {"pools", "pools"},  {"node", "nodes"},    {"nodes", "nodes"},
      {"gpu", "gpus"},          {"gpus", "gpus"},    {"req", "requests"},  {"request", "requests"},
      {"requests", "requests"}, {"lease", "leases"}, {"leases", "leases"}, {"token", "tokens"},
      {"tokens", "tokens"}};
  const auto found = kPaths.find(word);
  if (found == kPaths.end())
    return base::fail(base::Reason::kUnknownObject, "there is no kind \"" + word + "\"", "",
                      "use requests, leases, gpus, nodes, pools, tiers, teams or tokens");
  return found->second;
}

struct GetOptions {
  std::string kind;
  std::string name;
  Format format = Format::kTable;
  bool watch = false;
  bool dry_run = false;
  bool gone = false;
  Filters filters;
};

/// /v1/KIND/NAME. A GPU's name has a slash that is part of the path.
Result<std::string> target_of(const std::string& path, const std::string& name) {
  if (path != "gpus") return "/v1/" + path + "/" + client::encode(name);
  const auto slash = name.find('/');
  if (slash == std::string::npos)
    return base::fail(base::Reason::kUnknownObject,
                      "a GPU is called NODE/NUMBER, not \"" + name + "\"", "",
                      "see `tessera get gpus --node " + name + "`");
  return "/v1/gpus/" + client::encode(name.substr(0, slash)) + "/" +
         client::encode(name.substr(slash + 1));
}

/// All pages of a list, as one.
Result<Json> list_all(client::Connection& connection, const std::string& path,
                      const std::string& filters) {
  Json all;
  std::string next;
  do {
    auto target = "/v1/" + path + filters;
    if (!next.empty())
      target += (filters.empty() ? "?" : "&") + std::string("continue=") + client::encode(next);
    auto page = fetch(connection, {.target = target});
    if (!page) return page;
    next = text_at(*page, "metadata.continue");
    if (all.is_null())
      all = std::move(*page);
    else
      for (auto& item : (*page)["items"]) all["items"].push_back(std::move(item));
  } while (!next.empty());
  return all;
}

std::string kind_of_path(const std::string& path) {
  static const std::map<std::string, std::string> kKinds = {
      {"tiers", "Tier"}, {"teams", "Team"},       {"pools", "Pool"},   {"nodes", "Node"},
      {"gpus", "Gpu"},   {"requests", "Request"}, {"leases", "Lease"}, {"tokens", "Token"}};
  return kKinds.at(path);
}

/// Prints every change of the kind from `revision` on, until interrupted.
int follow(client::Connection& connection, const GetOptions& options, const std::string& path,
           std::string revision, Printer& printer) {
  for (;;) {
    const auto target = fmt::format("/v1/watch?since={}&kinds={}", revision, kind_of_path(path));
    const auto ended = connection.follow(target, 45s, [&](const client::Connection::Event& event) {
      if (!event.id.empty()) revision = event.id;
      if (event.type == "BOOKMARK") return true;
      const auto object = Json::parse(event.data, nullptr, false);
      if (object.is_discarded() || !passes(object, options.filters)) return true;
      if (!options.name.empty() && text_at(object, "metadata.name") != options.name) return true;
      if (event.type == "DELETED")
        print_note(text_at(object, "metadata.name") + " is gone");
      else
        printer.object(object);
      std::fflush(stdout);
      return true;
    });
    if (!ended) return refuse(ended.error());
  }
}

/// Nothing was found: perhaps because what the filters name does not exist.
Result<void> check_names(client::Connection& connection, const Filters& filters) {
  for (const auto& [path, name] : named_by(filters))
    if (const auto there =
            fetch(connection, {.target = "/v1/" + path + "/" + client::encode(name)});
        !there)
      return std::unexpected(there.error());
  return {};
}

int get(Program& program, const GetOptions& options) {
  const auto path = path_of_kind(options.kind);
  if (!path) return refuse(path.error(), kUsage);
  if (const auto known = check_state(*path, options.filters.state); !known)
    return refuse(known.error(), kUsage);
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  Printer printer(options.format);
  std::string revision = "0";
  if (options.name.empty() || options.watch) {
    const auto list = list_all(**connection, *path, query_of(options.filters));
    if (!list) return refuse(list.error());
    if (list->at("items").empty())
      if (const auto named = check_names(**connection, options.filters); !named)
        return refuse(named.error());
    revision = text_at(*list, "metadata.revision", "0");
    if (options.name.empty()) printer.list(*list);
  }
  if (!options.name.empty()) {
    const auto target = target_of(*path, options.name);
    if (!target) return refuse(target.error());
    const auto object = fetch(**connection, {.target = *target});
    if (!object) return refuse(object.error());
    if (options.watch)
      printer.object(*object);
    else
      print_object(*object, options.format);
  }
  std::fflush(stdout);
  return options.watch ? follow(**connection, options, *path, revision, printer) : kDone;
}

/// What belongs to an object and is listed under its description: a kind, and how to filter it.
std::optional<std::string> related(const std::string& path, const std::string& name) {
  if (path == "nodes") return "gpus?node=" + client::encode(name);
  if (path == "pools") return "nodes?pool=" + client::encode(name);
  if (path == "teams") return "leases?state=active&team=" + client::encode(name);
  return std::nullopt;
}

int describe(Program& program, const GetOptions& options) {
  const auto path = path_of_kind(options.kind);
  if (!path) return refuse(path.error(), kUsage);
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  const auto target = target_of(*path, options.name);
  if (!target) return refuse(target.error());
  const auto object = fetch(**connection, {.target = *target});
  if (!object) return refuse(object.error());
  fmt::print("{}", description(*object, now()));
  if (const auto more = related(*path, options.name)) {
    const auto list = fetch(**connection, {.target = "/v1/" + *more});
    if (!list) return refuse(list.error());
    fmt::print("\n");
    if (!list->at("items").empty()) print_list(*list, Format::kTable);
  }
  if (*path == "requests" && text_at(*object, "status.state") == "queued") {
    const auto why = fetch(**connection, {.target = *target + "/explanation"});
    if (!why) return refuse(why.error());
    fmt::print("\n{}", explanation(*why, now(), text_width()));
  }
  return kDone;
}

/// What ends otherwise than by being deleted.
Result<void> deletable(const std::string& path, const std::string& name) {
  const auto instead = [&](const std::string& what, const std::string& todo) {
    return base::fail(base::Reason::kWrongState, what, "", todo);
  };
  if (path == "requests")
    return instead("a request is cancelled, and kept to be looked at", "tessera cancel " + name);
  if (path == "leases")
    return instead("a lease is released, and kept to be looked at", "tessera release " + name);
  if (path == "gpus") return instead("a GPU goes with its node", "see `tessera get nodes`");
  return {};
}

int remove(Program& program, const GetOptions& options) {
  const auto path = path_of_kind(options.kind);
  if (!path) return refuse(path.error(), kUsage);
  if (const auto may = deletable(*path, options.name); !may) return refuse(may.error(), kUsage);
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  auto target = "/v1/" + *path + "/" + client::encode(options.name);
  target += options.dry_run ? "?dryRun=true" : "?dryRun=false";
  if (options.gone) target += "&gone=true";
  const auto answer = (*connection)->ask({.method = "DELETE", .target = target});
  if (!answer) return refuse(answer.error());
  fmt::print("{}/{} deleted{}\n", kind_of_path(*path), options.name,
             options.dry_run ? " (dry run)" : "");
  return kDone;
}

template <class Options>
void on_chosen(Program& program, CLI::App& command, std::shared_ptr<Options> options,
               int (*run)(Program&, const Options&)) {
  command.callback([&program, options, run] {
    program.chosen = [&program, options, run] { return run(program, *options); };
  });
}

void add_declaring_commands(Program& program) {
  const auto applied = std::make_shared<ApplyOptions>();
  auto* apply_command =
      program.cli.add_subcommand("apply", "Declare documents: all of them, or none");
  apply_command->group(kDeclaring);
  apply_command->add_option("-f,--file", applied->file, "YAML or JSON; - for standard input")
      ->required()
      ->type_name("FILE");
  apply_command->add_flag("--dry-run", applied->dry_run, "Say what would change, change nothing");
  add_format_option(*apply_command, applied->format);
  on_chosen(program, *apply_command, applied, apply);

  const auto compared = std::make_shared<ApplyOptions>();
  auto* diff_command = program.cli.add_subcommand(
      "diff", "What apply would change; exit code 0: nothing, 1: something, 2: error");
  diff_command->group(kDeclaring);
  diff_command->add_option("-f,--file", compared->file, "YAML or JSON; - for standard input")
      ->required()
      ->type_name("FILE");
  add_format_option(*diff_command, compared->format);
  on_chosen(program, *diff_command, compared, diff);

  const auto removed = std::make_shared<GetOptions>();
  auto* delete_command =
      program.cli.add_subcommand("delete", "Delete a tier, team, pool, node or token");
  delete_command->group(kDeclaring);
  delete_command->add_option("kind", removed->kind, "Its kind")->required()->type_name("KIND");
  delete_command->add_option("name", removed->name, "Its name")->required()->type_name("NAME");
  delete_command->add_flag("--gone", removed->gone,
                           "A node: it will never come back; end what it still holds");
  delete_command->add_flag("--dry-run", removed->dry_run,
                           "Say whether it could be, change nothing");
  on_chosen(program, *delete_command, removed, remove);
}

void add_looking_commands(Program& program) {
  const auto got = std::make_shared<GetOptions>();
  auto* get_command = program.cli.add_subcommand("get", "List objects, or show one");
  get_command->group(kLooking);
  get_command
      ->add_option("kind", got->kind, "requests, leases, gpus, nodes, pools, tiers, teams, tokens")
      ->required()
      ->type_name("KIND");
  get_command->add_option("name", got->name, "Only this one")->type_name("NAME");
  get_command->add_option("--team", got->filters.team, "Only this team's")->type_name("TEAM");
  get_command
      ->add_option("--state", got->filters.state, "Only in this state: queued, active, ready …")
      ->type_name("STATE");
  get_command->add_option("--pool", got->filters.pool, "Only in this pool")->type_name("POOL");
  get_command->add_option("--node", got->filters.node, "Only on this node")->type_name("NODE");
  get_command->add_option("--tier", got->filters.tier, "Only of this tier")->type_name("TIER");
  get_command->add_flag("-w,--watch", got->watch, "Go on with every change");
  add_format_option(*get_command, got->format);
  get_command->footer(
      "Examples:\n"
      "  tessera get requests --state queued\n"
      "  tessera get leases --team vision --watch\n"
      "  tessera get gpus --pool h100 -o wide");
  on_chosen(program, *get_command, got, get);

  const auto described = std::make_shared<GetOptions>();
  auto* describe_command = program.cli.add_subcommand(
      "describe", "All about one object, for people; of a waiting request also why");
  describe_command->group(kLooking);
  describe_command->add_option("kind", described->kind, "Its kind")->required()->type_name("KIND");
  describe_command->add_option("name", described->name, "Its name")->required()->type_name("NAME");
  on_chosen(program, *describe_command, described, describe);
}

}  // namespace

void add_object_commands(Program& program) {
  add_looking_commands(program);
  add_declaring_commands(program);
}

}  // namespace tessera::app
