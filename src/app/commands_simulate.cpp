#include <chrono>

#include <fmt/core.h>

#include "app/benchmarks.h"
#include "app/commands.h"
#include "app/output.h"
#include "app/terminal.h"
#include "simulation/run.h"

namespace tessera::app {
namespace {

using wire::Json;

struct SimulateOptions {
  std::uint64_t seeds = 0;
  std::uint64_t seed = 1;
  TraceOptions trace;
  bool churn = false;
  ChurnCommandOptions churning;
  Format format = Format::kTable;
};

Json json_of(const simulation::Report& report) {
  Json json{{"seeds", report.seeds},    {"violations", report.violations},
            {"void", report.void_runs}, {"simulatedHours", report.simulated_hours},
            {"faults", Json::object()}, {"granted", report.granted},
            {"moved", report.moved},    {"restarted", report.restarted},
            {"digest", report.digest}};
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

int simulate(const SimulateOptions& options) {
  if (options.churn) return run_churn(options.churning, options.seed, options.format);
  if (!options.trace.nodes.empty()) return pack_trace(options.trace, options.seed, options.format);
  return simulate_seeds(options);
}

CLI::Option* add_churn_options(CLI::App& command, SimulateOptions& options) {
  auto* churn = command.add_flag("--churn", options.churn,
                                 "Arrivals and departures of MIG instances, policy by policy");
  command.add_option("--gpus", options.churning.gpus, "Churn: H100s in the fleet")
      ->check(CLI::Range(1, 4096))
      ->needs(churn)
      ->capture_default_str();
  command
      .add_option("--load", options.churning.load,
                  "Churn: memory slices asked for at once, as a part of the fleet's")
      ->check(CLI::Range(0.01, 2.0))
      ->needs(churn)
      ->capture_default_str();
  command.add_option("--policy", options.churning.policy, "Churn: one policy alone")->needs(churn);
  return churn;
}

}  // namespace

void add_simulate_command(Program& program) {
  const auto options = std::make_shared<SimulateOptions>();
  auto* command = program.cli.add_subcommand(
      "simulate", "Run whole fleets under a virtual clock with faults, pack a trace, or churn");
  command->group(kRunning);
  auto* seeds = command->add_option("--seeds", options->seeds, "Fleets to run, one per seed")
                    ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{10'000'000}))
                    ->type_name("N");
  command->add_option("--seed", options->seed, "The first seed (default: 1)")->type_name("N");
  auto* nodes = command->add_option("--nodes", options->trace.nodes, "Trace: CSV of the nodes")
                    ->type_name("FILE");
  auto* pods = command->add_option("--pods", options->trace.pods, "Trace: CSV of the pods")
                   ->type_name("FILE");
  command
      ->add_option("--inflate", options->trace.inflate,
                   "Trace: pods are drawn until they ask for so many times the fleet's GPUs "
                   "(default: 1.3)")
      ->check(CLI::Range(0.01, 10.0))
      ->type_name("TIMES");
  command
      ->add_option("--max-moved", options->trace.max_moved,
                   "Trace: moves in all, as a part of the pods that run, to make room, as in 1% "
                   "(default: none)")
      ->needs(nodes)
      ->type_name("PART");
  nodes->needs(pods)->excludes(seeds);
  pods->needs(nodes);
  add_churn_options(*command, *options)->excludes(seeds)->excludes(nodes);
  add_format_option(*command, options->format);
  command->footer(
      "Examples:\n"
      "  tessera simulate --seeds 200\n"
      "  tessera simulate --nodes nodes.csv --pods pods.csv --inflate 1.3 --seed 42");
  command->callback([&program, options] {
    if (options->seeds == 0 && options->trace.nodes.empty() && !options->churn)
      throw CLI::RequiredError("--seeds N, or --nodes FILE --pods FILE, or --churn");
    program.chosen = [options] { return simulate(*options); };
  });
}

}  // namespace tessera::app
