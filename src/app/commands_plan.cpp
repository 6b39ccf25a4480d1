#include <chrono>
#include <map>

#include <fmt/core.h>

#include "app/commands.h"
#include "app/files.h"
#include "app/output.h"
#include "app/server_plans.h"
#include "app/table.h"
#include "app/terminal.h"
#include "base/time.h"
#include "planning/plan.h"
#include "solver/coin_solver.h"
#include "wire/plan_input.h"
#include "wire/plan_object.h"

namespace tessera::app {
namespace {

using wire::Json;
using Clock = std::chrono::steady_clock;

struct PlanOptions {
  std::string file;
  std::string time_limit = "10s";
  std::int64_t spare = -1;
  Format format = Format::kTable;
};

/// Patience that ends at a point in time.
class Deadline final : public planning::Patience {
 public:
  explicit Deadline(base::Duration limit) : end_(Clock::now() + limit) {}
  base::Duration left() const override {
    const auto left = std::chrono::duration_cast<base::Duration>(end_ - Clock::now());
    return std::max(left, base::Duration{});
  }

 private:
  Clock::time_point end_;
};

std::string layout_text(const Json& placements) {
  std::string text;
  for (const Json& one : placements)
    text += fmt::format("{}{}@{}", text.empty() ? "" : " ", text_at(one, "profile"),
                        text_at(one, "start"));
  return text.empty() ? "(empty)" : text;
}

void print_plan(const Json& plan, const wire::PlanInput& input) {
  Table after({"MODEL", "GPUS", "LAYOUT"});
  for (const Json& one : plan.at("layouts"))
    after.add({text_at(one, "model"), text_at(one, "count"), layout_text(one.at("placements"))});
  std::vector<std::int64_t> served(input.problem.demands.size(), 0);
  for (const Json& one : plan.at("services"))
    served[one.at("demand").get<std::size_t>()] += one.at("count").get<std::int64_t>();
  Table demand({"DEMAND", "SERVED"});
  for (std::size_t i = 0; i < served.size(); ++i)
    demand.add({input.demand_names[i], std::to_string(served[i])});
  std::map<std::string, std::int64_t> steps;
  for (const Json& one : plan.at("steps"))
    steps[text_at(one, "do")] += one.at("gpus").at("count").get<std::int64_t>();
  if (!demand.empty()) fmt::print("{}\n", demand.text());
  fmt::print("{}\n", after.text());
  fmt::print("Serves {}, moves {}, changes {} GPUs. {}\n", plan.at("served").dump(),
             plan.at("moved").dump(), plan.at("changedGpus").dump(), proof_words(plan));
  fmt::print("Steps: {} moves, {} forced restarts, room for {} parked leases at most.\n",
             steps["move"], plan.at("forcedRestarts").dump(), plan.at("peakExtra").dump());
}

base::Result<void> plan(const PlanOptions& options) {
  const auto limit = base::parse_duration(options.time_limit);
  if (!limit) {
    auto error = limit.error();
    error.where = "--time-limit";
    return std::unexpected(error);
  }
  const auto catalog = catalog::Catalog::built_in();
  const auto text = read_file(options.file);
  if (!text) return std::unexpected(text.error());
  auto input = wire::decode_plan_input(*text, options.file, catalog, {.bytes = text->size()});
  if (!input) return std::unexpected(input.error());
  if (options.spare >= 0) input->problem.spare = options.spare;
  const auto begun = Clock::now();
  const Deadline deadline(*limit);
  const planning::Plan made =
      planning::make_plan(input->problem, catalog, solver::make_coin_solver, deadline);
  const std::chrono::duration<double> spent = Clock::now() - begun;
  Json object = wire::plan_object(input->problem, made, catalog);
  object["solveSeconds"] = spent.count();
  if (options.format == Format::kJson || options.format == Format::kYaml)
    print_object(object, options.format);
  else
    print_plan(object, *input);
  return {};
}

void add_forecast_options(CLI::App& command, CLI::Option& from_server, ServerPlanOptions& server) {
  auto* from_history = command.add_flag("--from-history", server.from_history,
                                        "Also make room for what is usually asked for");
  from_history->needs(&from_server);
  const auto add = [&](const char* name, auto& value, const char* what, const char* type) {
    return command.add_option(name, value, what)->needs(from_history)->type_name(type);
  };
  add("--percentile", server.percentile, "Of the past hours, by nearest rank (default: 95)", "N")
      ->check(CLI::Range(1, 100));
  add("--over", server.over, "How far to look back, at most 5w (default: 4w)", "TIME");
  add("--at", server.at, "The hour that matters, in UTC: \"Sat 02:00\" (default: now)", "WHEN");
  add("--for", server.ahead, "How far to look ahead from there (default: 4h)", "TIME");
  add("--headroom", server.headroom, "What to multiply by, e.g. 1.2 (default: 1)", "FACTOR")
      ->check(CLI::Range(0.0, 10.0));
}

}  // namespace

void add_plan_command(Program& program) {
  const auto options = std::make_shared<PlanOptions>();
  const auto server = std::make_shared<ServerPlanOptions>();
  auto* command = program.cli.add_subcommand(
      "plan", "The best layouts for a fleet, with a proof, and the steps that lead to them");
  command->group(kRunning);
  command->add_option("-f,--file", options->file, "A PlanInput document; - for standard input")
      ->type_name("FILE");
  auto* from_server = command->add_flag("--from-server", server->from_server,
                                        "Plan for the control plane's fleet and what waits there");
  from_server->excludes("--file");
  command
      ->add_option("--time-limit", options->time_limit,
                   "When to settle for the best found (default: 10s)")
      ->type_name("TIME");
  command
      ->add_option("--spare", options->spare,
                   "Empty GPUs of each model or pool to use during the change "
                   "(default: spec.spareGpus)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{10'000'000}))
      ->type_name("N");
  command
      ->add_option("--want", server->wants,
                   "Also serve this, beside what waits: 2g.20gb=3, 18GiB (may be repeated)")
      ->needs(from_server)
      ->type_name("NEED");
  command->add_option("--pool", server->pool, "Plan for one pool only")
      ->needs(from_server)
      ->type_name("POOL");
  command
      ->add_option("--max-parallel", server->max_parallel,
                   "Moves at the same moment, 0 for any number (default: 8)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{100'000}))
      ->needs(from_server)
      ->type_name("N");
  command->add_flag("--no-waiting", server->no_waiting, "Leave the requests that wait aside")
      ->needs(from_server);
  add_forecast_options(*command, *from_server, *server);
  command->add_flag("--dry-run", server->dry_run, "Compute the plan and do not store it")
      ->needs(from_server);
  add_format_option(*command, options->format);
  add_server_plan_commands(program, *command);
  command->callback([&program, command, options, server] {
    if (!command->get_subcommands().empty()) return;
    if (!server->from_server && options->file.empty())
      throw CLI::RequiredError("--file or --from-server");
    if (server->from_server) {
      server->spare = options->spare;
      server->time_limit = options->time_limit;
      server->format = options->format;
      program.chosen = [&program, server] { return plan_from_server(program, *server); };
      return;
    }
    program.chosen = [options] {
      const auto done = plan(*options);
      return done ? static_cast<int>(kDone) : refuse(done.error());
    };
  });
}

}  // namespace tessera::app
