#include <chrono>

#include <fmt/core.h>

#include "app/commands.h"
#include "app/output.h"
#include "app/terminal.h"
#include "simulation/inflation.h"
#include "simulation/run.h"
#include "simulation/trace.h"

namespace tessera::app {
namespace {

using wire::Json;

struct SimulateOptions {
  std::uint64_t seeds = 0;
  std::uint64_t seed = 1;
  std::string nodes;
  std::string pods;
  double inflate = 1.3;
  Format format = Format::kTable;
};

Json json_of(const simulation::Report& report) {
  Json json{{"seeds", report.seeds},    {"violations", report.violations},
            {"void", report.void_runs}, {"simulatedHours", report.simulated_hours},
            {"faults", Json::object()}, {"granted", report.granted},
            {"moved", report.moved},    {"digest", report.digest}};
  for (const auto& [name, count] : report.faults) json["faults"][name] = count;
  if (report.first_violation)
    json["firstViolation"] = {{"seed", report.first_violation->seed},
                              {"text", report.first_violation->text}};
  return json;
}

/// A line that is written over, on standard error, for a person only; in a pipe a line per tenth.
class ProgressLine {
 public:
  explicit ProgressLine(std::uint64_t total) : total_(total) {}

  void operator()(const simulation::Report& report) {
    const auto tenth = report.seeds * 10 / total_;
    if (!watched() && tenth == last_tenth_) return;
    last_tenth_ = tenth;
    fmt::print(stderr, "{}{} of {} seeds, {:.0f} simulated hours, {} leases granted{}",
               watched() ? "\r" : "", report.seeds, total_, report.simulated_hours, report.granted,
               watched() && report.seeds < total_ ? "" : "\n");
    std::fflush(stderr);
  }

 private:
  std::uint64_t total_;
  std::uint64_t last_tenth_ = 0;
};

int simulate_seeds(const SimulateOptions& options) {
  const auto report =
      simulation::run_seeds(options.seed, options.seeds, ProgressLine(options.seeds));
  if (options.format == Format::kJson || options.format == Format::kYaml) {
    print_object(json_of(report), options.format);
  } else {
    fmt::print("{} seeds, {} violations, {} void, {:.1f} simulated hours, {} leases granted\n",
               report.seeds, report.violations, report.void_runs, report.simulated_hours,
               report.granted);
    for (const auto& [name, count] : report.faults) fmt::print("  {:<28} {}\n", name, count);
    fmt::print("digest {}\n", report.digest);
  }
  if (!report.first_violation) return kDone;
  fmt::print(
      stderr, "\nviolation with seed {}: {}\nreplay it: tessera simulate --seeds 1 --seed {}\n",
      report.first_violation->seed, report.first_violation->text, report.first_violation->seed);
  return kRefused;
}

base::Result<simulation::InflationResult> inflate(const SimulateOptions& options) {
  const auto nodes = simulation::read_trace_nodes(options.nodes);
  if (!nodes) return std::unexpected(nodes.error());
  const auto pods = simulation::read_trace_pods(options.pods);
  if (!pods) return std::unexpected(pods.error());
  return simulation::inflate(
      *nodes, *pods,
      {.seed = options.seed, .inflate_percent = static_cast<int>(options.inflate * 100 + 0.5)});
}

int replay_trace(const SimulateOptions& options) {
  const auto result = inflate(options);
  if (!result) {
    print_error(result.error());
    return kRefused;
  }
  const auto fleet = static_cast<double>(result->fleet_milli_gpus) / 1000;
  if (options.format == Format::kJson || options.format == Format::kYaml) {
    Json json{{"seed", options.seed},     {"gpus", fleet},        {"arrived", result->arrived},
              {"placed", result->placed}, {"lost", result->lost}, {"allocation", Json::object()}};
    for (const auto& [percent, allocated] : result->allocation)
      json["allocation"][std::to_string(percent)] = allocated;
    print_object(json, options.format);
    return kDone;
  }
  fmt::print("{} GPUs; of {} pods {} placed, {} lost\n\nARRIVED  ALLOCATED\n", fleet,
             result->arrived, result->placed, result->lost);
  for (const auto& [percent, allocated] : result->allocation)
    fmt::print("{:>6}%  {:>8.2f}%  {}\n", percent, allocated,
               std::string(static_cast<std::size_t>(allocated / 2), '#'));
  return kDone;
}

int simulate(const SimulateOptions& options) {
  return options.nodes.empty() ? simulate_seeds(options) : replay_trace(options);
}

}  // namespace

void add_simulate_command(Program& program) {
  const auto options = std::make_shared<SimulateOptions>();
  auto* command = program.cli.add_subcommand(
      "simulate", "Run whole fleets under a virtual clock with faults, or replay a trace");
  auto* seeds = command->add_option("--seeds", options->seeds, "Fleets to run, one per seed")
                    ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{10'000'000}));
  command->add_option("--seed", options->seed, "The first seed")->capture_default_str();
  auto* nodes = command->add_option("--nodes", options->nodes, "Trace: CSV of the nodes");
  auto* pods = command->add_option("--pods", options->pods, "Trace: CSV of the pods");
  command
      ->add_option("--inflate", options->inflate,
                   "Trace: pods are drawn until they ask for so many times the fleet's GPUs")
      ->check(CLI::Range(0.01, 10.0))
      ->capture_default_str();
  nodes->needs(pods)->excludes(seeds);
  pods->needs(nodes);
  add_format_option(*command, options->format);
  command->callback([&program, options] {
    if (options->seeds == 0 && options->nodes.empty())
      throw CLI::RequiredError("--seeds N, or --nodes FILE --pods FILE");
    program.chosen = [options] { return simulate(*options); };
  });
}

}  // namespace tessera::app
