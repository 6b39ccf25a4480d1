#include <charconv>

#include <fmt/core.h>

#include "app/capacity_report.h"
#include "app/commands.h"
#include "app/deadline.h"
#include "app/files.h"
#include "app/output.h"
#include "app/table.h"
#include "app/terminal.h"
#include "client/connection.h"
#include "control/capacity_answer.h"
#include "control/step.h"
#include "solver/coin_solver.h"
#include "tenancy/tier.h"
#include "wire/capacity_answer_object.h"
#include "wire/capacity_demand.h"
#include "wire/fleet_lists.h"
#include "wire/objects.h"

namespace tessera::app {
namespace {

using base::Result;
using wire::Json;

struct CapacityOptions {
  std::string file;
  std::string demand;
  std::vector<std::string> additions;  ///< "H100-80GB-SXM5=8"
  std::string time_limit = "10s";
  Format format = Format::kTable;
};

const tenancy::Actor kPlanner{"capacity", tenancy::Role::kAdmin, ""};

/// The state that the documents declare, with every node taken as present.
Result<control::State> declared_state(const std::string& file) {
  const auto catalog = std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  const auto documents = read_documents(file, *catalog);
  if (!documents) return std::unexpected(documents.error());
  control::State state(catalog);
  const auto run = [&](const control::Command& command) -> Result<void> {
    auto done = control::step(state, command, kPlanner, base::Instant{});
    if (!done) return std::unexpected(done.error());
    return {};
  };
  bool tiers = false;
  for (const auto& document : *documents)
    tiers |= std::holds_alternative<tenancy::Tier>(document.object);
  if (!tiers)
    for (const auto& tier : tenancy::default_tiers())
      if (auto done = run(control::PutTier{tier}); !done) return std::unexpected(done.error());
  // Tiers before the pools that carry them, pools before nodes and quotas.
  for (const std::string_view kind : {"Tier", "Pool", "Node", "Team"}) {
    for (const auto& document : *documents) {
      if (wire::kind_of(document.object) != kind) continue;
      if (auto done = run(wire::command_of(document.object)); !done) {
        auto error = done.error();
        error.where = document.where + (error.where.empty() ? "" : " " + error.where);
        return std::unexpected(error);
      }
    }
  }
  const auto node_count = state.fleet().nodes().size();
  for (std::size_t i = 0; i < node_count; ++i)
    state.apply(control::NodeReady{fleet::NodeIndex(i), "declared"}, base::Instant{});
  return state;
}

Result<Json> capacity_json(Program& program, const CapacityOptions& options) {
  if (!options.file.empty()) {
    const auto state = declared_state(options.file);
    if (!state) return std::unexpected(state.error());
    return wire::capacity_object(placement::capacity_of(
        state->catalog(), state->fleet(), state->index(), state->tiers(), state->use_by_tier()));
  }
  auto connection = program.connect();
  if (!connection) return std::unexpected(connection.error());
  return fetch(**connection, {.target = "/v1/capacity"});
}

/// Every page of a list.
Result<Json> all_of(client::Connection& connection, const std::string& kind,
                    const std::string& filter = {}) {
  Json items = Json::array();
  std::string next;
  do {
    std::string target = "/v1/" + kind + "?limit=1000" + filter;
    if (!next.empty()) target += "&continue=" + client::encode(next);
    auto page = fetch(connection, {.target = target});
    if (!page) return page;
    for (Json& item : page->at("items")) items.push_back(std::move(item));
    next = text_at(*page, "metadata.continue");
  } while (!next.empty());
  return items;
}

Result<control::FleetAtHand> served_fleet(Program& program, const catalog::Catalog& catalog) {
  auto connection = program.connect();
  if (!connection) return std::unexpected(connection.error());
  wire::FleetLists lists;
  const std::pair<const char*, Json*> kinds[] = {{"tiers", &lists.tiers},
                                                 {"pools", &lists.pools},
                                                 {"gpus", &lists.gpus},
                                                 {"leases", &lists.leases},
                                                 {"requests", &lists.requests}};
  for (const auto& [kind, list] : kinds) {
    const bool many = list == &lists.leases || list == &lists.requests;
    auto items = all_of(**connection, kind, many ? "&state=active" : "");
    if (!items) return std::unexpected(items.error());
    *list = std::move(*items);
  }
  return wire::read_fleet(lists, catalog);
}

Result<control::FleetAtHand> fleet_of(Program& program, const CapacityOptions& options,
                                      const catalog::Catalog& catalog) {
  if (options.file.empty()) return served_fleet(program, catalog);
  const auto state = declared_state(options.file);
  if (!state) return std::unexpected(state.error());
  return control::fleet_at_hand(*state);
}

/// "H100-80GB-SXM5=8".
Result<control::Addition> addition_of(const std::string& text, const catalog::Catalog& catalog) {
  constexpr std::int64_t kMost = 1'000'000;
  const auto equals = text.find('=');
  const auto model = catalog.find(text.substr(0, equals));
  if (!model) {
    std::string names;
    for (const auto& one : catalog.models()) names += (names.empty() ? "" : ", ") + one.key;
    return base::fail(base::Reason::kUnknownObject,
                      "there is no GPU model \"" + text.substr(0, equals) + "\"", "--add",
                      "known models are " + names);
  }
  std::int64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [next, error] = equals == std::string::npos
                                 ? std::from_chars_result{end, std::errc::invalid_argument}
                                 : std::from_chars(text.data() + equals + 1, end, count);
  if (error != std::errc{} || next != end || count < 1 || count > kMost)
    return base::fail(base::Reason::kInvalidQuantity, "\"" + text + "\" does not say how many",
                      "--add", "write a count from 1 to 1000000, as in --add H100-80GB-SXM5=8");
  return control::Addition{*model, count};
}

Result<Json> demand_answer(Program& program, const CapacityOptions& options) {
  const auto limit = base::parse_duration(options.time_limit);
  if (!limit) {
    auto error = limit.error();
    error.where = "--time-limit";
    return std::unexpected(error);
  }
  const auto catalog = catalog::Catalog::built_in();
  std::vector<control::Addition> additions;
  for (const auto& text : options.additions) {
    const auto one = addition_of(text, catalog);
    if (!one) return std::unexpected(one.error());
    additions.push_back(*one);
  }
  const auto text = read_file(options.demand);
  if (!text) return std::unexpected(text.error());
  const auto demand = wire::decode_capacity_demand(*text, options.demand, catalog);
  if (!demand) return std::unexpected(demand.error());
  const auto fleet = fleet_of(program, options, catalog);
  if (!fleet) return std::unexpected(fleet.error());
  const Deadline deadline(*limit);
  const auto answer = control::answer_capacity(catalog, *fleet, *demand, additions,
                                               solver::make_coin_solver, deadline);
  if (!answer) return std::unexpected(answer.error());
  Json object = wire::capacity_answer_object(*answer, catalog);
  object["solveSeconds"] = deadline.spent();
  return object;
}

std::string mix_of(const Json& potential) {
  std::string text;
  const auto mix = potential.value("mix", Json::object());
  for (auto it = mix.rbegin(); it != mix.rend(); ++it)
    text += fmt::format("{}{} x {}", text.empty() ? "" : " + ", it.value().dump(), it.key());
  return text.empty() ? "-" : text;
}

/// Slices are held in all sizes, slots are counted in one: what is used is told as a part.
std::string used_of(const Json& tier) {
  const auto slices = text_at(tier, "used.slots", "0");
  if (slices == "0") return "-";
  return fmt::format("{:.0f}% in {} slice{}", tier["used"].value("fraction", 0.0) * 100, slices,
                     slices == "1" ? "" : "s");
}

void print_capacity(const Json& answer) {
  const auto& tiers = answer.at("tiers");
  if (tiers.empty()) {
    print_note("no tiers are declared: tessera apply -f FILE");
    return;
  }
  Table table({"TIER", "ISOLATION", "SLOT", "SLOTS", "FREE", "USED", "MADE OF"});
  for (const auto& tier : tiers)
    table.add({text_at(tier, "name"), text_at(tier, "isolation"),
               memory_words(text_at(tier, "slot", "-")), text_at(tier, "potential.slots"),
               text_at(tier, "free.slots"), used_of(tier), mix_of(tier["potential"])});
  fmt::print("{}\n", table.text());
  for (const auto& tier : tiers)
    if (const auto note = text_at(tier, "potential.note"); !note.empty())
      fmt::print("{}\n", wrapped(text_at(tier, "name") + ": " + note, text_width(), 2));
  const auto sum = fmt::format(
      "{} of {} GPUs are ready. Slots are what a tier could offer alone: a pool that several tiers "
      "share counts in each.",
      text_at(answer, "gpus.ready"), text_at(answer, "gpus.declared"));
  fmt::print("{}\n", wrapped(sum, text_width()));
}

int capacity(Program& program, const CapacityOptions& options) {
  const bool demand = !options.demand.empty();
  const auto answer = demand ? demand_answer(program, options) : capacity_json(program, options);
  if (!answer) return refuse(answer.error());
  if (options.format == Format::kJson || options.format == Format::kYaml) {
    print_object(*answer, options.format);
    return kDone;
  }
  if (demand)
    print_capacity_answer(*answer);
  else
    print_capacity(*answer);
  return kDone;
}

}  // namespace

void add_capacity_command(Program& program) {
  const auto options = std::make_shared<CapacityOptions>();
  auto* command = program.cli.add_subcommand(
      "capacity",
      "Slots of every tier: what there could be, what is free, what is used; with --demand what it "
      "takes to serve more");
  command->group(kLooking);
  command
      ->add_option("-f,--file", options->file,
                   "Work it out for these documents, without a control plane")
      ->type_name("FILE");
  auto* demand = command
                     ->add_option("--demand", options->demand,
                                  "A CapacityDemand document: how many GPUs it takes, what is "
                                  "served now, at what cost; - for standard input")
                     ->type_name("FILE");
  command
      ->add_option("--add", options->additions,
                   "Also say what buying these would change: H100-80GB-SXM5=8 (may be repeated)")
      ->needs(demand)
      ->type_name("MODEL=COUNT");
  command
      ->add_option("--time-limit", options->time_limit,
                   "When to settle for the best found (default: 10s)")
      ->needs(demand)
      ->type_name("TIME");
  add_format_option(*command, options->format);
  command->callback([&program, options] {
    program.chosen = [&program, options] { return capacity(program, *options); };
  });
}

}  // namespace tessera::app
