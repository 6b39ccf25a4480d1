#include <fmt/core.h>

#include "app/commands.h"
#include "app/files.h"
#include "app/output.h"
#include "app/table.h"
#include "app/terminal.h"
#include "control/step.h"
#include "tenancy/tier.h"
#include "wire/objects.h"

namespace tessera::app {
namespace {

using base::Result;
using wire::Json;

struct CapacityOptions {
  std::string file;
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
  const auto answer = capacity_json(program, options);
  if (!answer) {
    print_error(answer.error());
    return kRefused;
  }
  if (options.format == Format::kJson || options.format == Format::kYaml) {
    print_object(*answer, options.format);
    return kDone;
  }
  print_capacity(*answer);
  return kDone;
}

int version(Format format) {
  if (format == Format::kJson || format == Format::kYaml)
    print_object({{"version", TESSERA_VERSION}}, format);
  else
    fmt::print("tessera {}\n", TESSERA_VERSION);
  return kDone;
}

}  // namespace

void add_offline_commands(Program& program) {
  const auto options = std::make_shared<CapacityOptions>();
  auto* command = program.cli.add_subcommand(
      "capacity", "Slots of every tier: what there could be, what is free, what is used");
  command->group(kLooking);
  command
      ->add_option("-f,--file", options->file,
                   "Work it out for these documents, without a control plane")
      ->type_name("FILE");
  add_format_option(*command, options->format);
  command->callback([&program, options] {
    program.chosen = [&program, options] { return capacity(program, *options); };
  });

  const auto format = std::make_shared<Format>(Format::kTable);
  auto* version_command = program.cli.add_subcommand("version", "The version of this program");
  version_command->group(kOther);
  add_format_option(*version_command, *format);
  version_command->callback(
      [&program, format] { program.chosen = [format] { return version(*format); }; });
}

}  // namespace tessera::app
