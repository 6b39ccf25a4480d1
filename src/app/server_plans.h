#pragma once

#include <optional>

#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "app/output.h"

/// `tessera plan` against a control plane: computing a plan for the fleet as it stands, looking at
/// plans, applying and aborting them.
namespace tessera::app {

struct ServerPlanOptions {
  bool from_server = false;
  std::int64_t spare = -1;  ///< below 0: none
  std::string time_limit;
  std::vector<std::string> wants;  ///< "7g.80gb=2", "18GiB"
  std::string pool;
  std::int64_t max_parallel = -1;  ///< below 0: the server's choice
  bool no_waiting = false;
  bool from_history = false;  ///< also plan for what is expected, as the next five say
  std::optional<int> percentile;
  std::string over;
  std::string at;
  std::string ahead;
  std::optional<double> headroom;
  bool dry_run = false;
  Format format = Format::kTable;
};

/// Has a plan computed from the server's state and prints it.
int plan_from_server(Program& program, const ServerPlanOptions& options);

/// Adds `plan show`, `plan apply` and `plan abort` below `plan`.
void add_server_plan_commands(Program& program, CLI::App& plan);

}  // namespace tessera::app
