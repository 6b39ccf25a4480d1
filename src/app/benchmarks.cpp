#include "app/benchmarks.h"

#include <charconv>
#include <optional>

#include <fmt/core.h>

#include "app/commands.h"
#include "app/table.h"
#include "app/terminal.h"
#include "simulation/churn.h"
#include "simulation/inflation.h"
#include "simulation/trace.h"
#include "solver/coin_solver.h"

namespace tessera::app {
namespace {

using wire::Json;

bool for_programs(Format format) {
  return format == Format::kJson || format == Format::kYaml;
}

int percent_of(double times) {
  return static_cast<int>(times * 100 + 0.5);
}

/// "1%" -> 0.01.
base::Result<double> parse_part(std::string_view text) {
  double percent = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, percent);
  if (error != std::errc() || std::string_view(rest, end) != "%" || !(percent >= 0) ||
      percent > 100)
    return base::fail(base::Reason::kInvalidQuantity,
                      "\"" + std::string(text.substr(0, 40)) + "\" is not a part of the pods",
                      "--max-moved", "write a percentage such as 1% or 0.5%");
  return percent / 100;
}

base::Result<simulation::InflationResult> inflate(const TraceOptions& options, std::uint64_t seed) {
  const auto part = parse_part(options.max_moved);
  if (!part) return std::unexpected(part.error());
  const auto nodes = simulation::read_trace_nodes(options.nodes);
  if (!nodes) return std::unexpected(nodes.error());
  const auto pods = simulation::read_trace_pods(options.pods);
  if (!pods) return std::unexpected(pods.error());
  return simulation::inflate(*nodes, *pods,
                             {.seed = seed,
                              .inflate_percent = percent_of(options.inflate),
                              .max_moved = *part,
                              .solver = solver::make_coin_solver});
}

Json by_percent(const std::map<int, double>& figures) {
  Json json = Json::object();
  for (const auto& [percent, figure] : figures) json[std::to_string(percent)] = figure;
  return json;
}

std::string bar(double percent) {
  return std::string(static_cast<std::size_t>(percent / 2), '#');
}

/// Refusals that are not proven to be unavoidable, as a part of the arrivals.
double gap_of(const simulation::ChurnResult& one) {
  return static_cast<double>(one.avoidable + one.undecided) / static_cast<double>(one.arrived);
}

void print_churn(const std::vector<simulation::ChurnResult>& results) {
  Table table({"POLICY", "ACCEPTED", "MOVES PER ACCEPTED", "CERTIFIED GAP", "BURST", "ACCEPTED",
               "POSSIBLE", "MOVED"});
  for (const auto& one : results) {
    const auto arrived = static_cast<double>(one.arrived);
    const auto accepted = static_cast<double>(one.accepted);
    table.add({one.policy, fmt::format("{:.2f}%", 100 * accepted / arrived),
               fmt::format("{:.4f}", static_cast<double>(one.moved) / accepted),
               fmt::format("{:.2f}%", 100 * gap_of(one)), std::to_string(one.burst),
               std::to_string(one.burst_accepted), std::to_string(one.burst_possible),
               fmt::format("{} of {}", one.burst_moved, one.burst_running)});
  }
  fmt::print("{}", table.text());
}

Json json_of(const simulation::ChurnResult& one) {
  const auto arrived = static_cast<double>(one.arrived);
  const auto accepted = static_cast<double>(one.accepted);
  return {{"policy", one.policy},
          {"arrived", one.arrived},
          {"accepted", one.accepted},
          {"acceptance", accepted / arrived},
          {"moved", one.moved},
          {"movesPerAccepted", static_cast<double>(one.moved) / std::max(1.0, accepted)},
          {"forcedRestarts", one.forced_restarts},
          {"avoidableRefusals", one.avoidable},
          {"undecidedRefusals", one.undecided},
          {"certifiedGap", gap_of(one)},
          {"meanLoad", one.mean_load / 100},
          {"burst",
           {{"asked", one.burst},
            {"accepted", one.burst_accepted},
            {"possible", one.burst_possible},
            {"moved", one.burst_moved},
            {"running", one.burst_running}}}};
}

}  // namespace

int pack_trace(const TraceOptions& options, std::uint64_t seed, Format format) {
  const auto result = inflate(options, seed);
  if (!result) return refuse(result.error());
  const auto fleet = static_cast<double>(result->fleet_milli_gpus) / 1000;
  if (for_programs(format)) {
    print_object({{"seed", seed},
                  {"gpus", fleet},
                  {"arrived", result->arrived},
                  {"placed", result->placed},
                  {"lost", result->lost},
                  {"moved", result->moved},
                  {"mostMoves", result->most_moves},
                  {"allocation", by_percent(result->allocation)},
                  {"bound", by_percent(result->bound)},
                  {"boundOnGpusAlone", by_percent(result->bound_on_gpus_alone)}},
                 format);
    return kDone;
  }
  fmt::print("{} GPUs; of {} pods {} placed, {} lost; {} moves of {} allowed\n\n", fleet,
             result->arrived, result->placed, result->lost, result->moved, result->most_moves);
  fmt::print("ARRIVED  ALLOCATED     BOUND\n");
  for (const auto& [percent, allocated] : result->allocation) {
    const auto bound = result->bound.find(percent);
    fmt::print("{:>6}%  {:>8.2f}%  {:>8}  {}\n", percent, allocated,
               bound == result->bound.end() ? "" : fmt::format("{:.2f}%", bound->second),
               bar(allocated));
  }
  return kDone;
}

int run_churn(const ChurnCommandOptions& options, std::uint64_t seed, Format format) {
  const auto catalog = std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  std::vector<simulation::ChurnResult> results;
  std::vector<std::string_view> policies = simulation::churn_policies();
  if (!options.policy.empty()) policies = {options.policy};
  for (const auto policy : policies) {
    auto result = simulation::churn({.gpus = options.gpus,
                                     .load_percent = percent_of(options.load),
                                     .seed = seed,
                                     .solver = solver::make_coin_solver},
                                    policy, catalog);
    if (!result) return refuse(result.error());
    results.push_back(*std::move(result));
  }
  if (for_programs(format)) {
    Json all = Json::array();
    for (const auto& one : results) all.push_back(json_of(one));
    print_object({{"seed", seed},
                  {"gpus", options.gpus},
                  {"load", options.load},
                  {"model", std::string(simulation::kChurnModel)},
                  {"policies", std::move(all)}},
                 format);
  } else {
    print_churn(results);
  }
  return kDone;
}

}  // namespace tessera::app
