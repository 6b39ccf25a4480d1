#pragma once

#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "client/connection.h"
#include "wire/json.h"

/// The subcommands of `tessera`. Each add_…() declares its commands and options; main() parses,
/// then runs what was chosen.
namespace tessera::app {

/// What all commands share. Lives as long as main().
struct Program {
  CLI::App cli{"Tessera shares one fleet of GPUs among many teams."};
  std::string context_file;     ///< --context, else TESSERA_CONTEXT
  std::function<int()> chosen;  ///< the command to run; returns its exit code

  /// A connection to the control plane that the context names.
  base::Result<client::Connection*> connect();

 private:
  std::unique_ptr<client::Connection> connection_;
};

/// Asks and reads the answer as JSON. Errors: as Connection::ask(); kInternal when it is none.
base::Result<wire::Json> fetch(client::Connection& connection, const client::Call& call);

/// Headings of `tessera --help`.
inline constexpr const char* kAsking = "Ask for a piece of a GPU";
inline constexpr const char* kLooking = "Look";
inline constexpr const char* kDeclaring = "Declare";
inline constexpr const char* kOperating = "Operate";
inline constexpr const char* kRunning = "Run";
inline constexpr const char* kOther = "Other";

void add_serving_commands(Program& program);  // up, serve, agent
void add_object_commands(Program& program);   // apply, diff, delete, get, describe
void add_asking_commands(Program& program);   // request, explain
/// cancel, approve, reject, release, renew, cordon, uncordon
void add_verb_commands(Program& program);
void add_capacity_command(Program& program);    // capacity
void add_version_command(Program& program);     // version
void add_doctor_command(Program& program);      // doctor
void add_plan_command(Program& program);        // plan
void add_run_command(Program& program);         // run
void add_guard_command(Program& program);       // guard
void add_simulate_command(Program& program);    // simulate
void add_token_command(Program& program);       // token
void add_completion_command(Program& program);  // completion

}  // namespace tessera::app
