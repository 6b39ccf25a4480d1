#include <cstdlib>
#include <exception>

#include <fmt/core.h>

#include "app/commands.h"
#include "app/terminal.h"

namespace tessera::app {

base::Result<client::Connection*> Program::connect() {
  if (connection_) return connection_.get();
  if (context_file.empty())
    return base::fail(base::Reason::kUnavailable, "which control plane?", "--context",
                      "name the context.yaml that `tessera up` wrote, with --context FILE or "
                      "TESSERA_CONTEXT=FILE");
  auto context = client::read_context(context_file);
  if (!context) return std::unexpected(context.error());
  connection_ = std::make_unique<client::Connection>(std::move(*context));
  return connection_.get();
}

base::Result<wire::Json> fetch(client::Connection& connection, const client::Call& call) {
  const auto answer = connection.ask(call);
  if (!answer) return std::unexpected(answer.error());
  auto json = wire::Json::parse(answer->body, nullptr, false);
  if (json.is_discarded())
    return base::fail(base::Reason::kInternal, "the answer is not JSON", call.target,
                      "check that the address is that of a Tessera control plane");
  return json;
}

namespace {

int run(int argc, char** argv) {
  Program program;
  program.cli.require_subcommand(1);
  program.cli.fallthrough();
  program.cli.add_option("--context", program.context_file,
                         "File with server and token (default: TESSERA_CONTEXT)");
  if (const char* context = std::getenv("TESSERA_CONTEXT")) program.context_file = context;
  add_serving_commands(program);
  add_asking_commands(program);
  add_object_commands(program);
  add_offline_commands(program);
  add_doctor_command(program);
  add_plan_command(program);
  add_run_command(program);
  add_simulate_command(program);
  add_completion_command(program);
  try {
    program.cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = program.cli.exit(error);
    return code == 0 ? kDone : kUsage;
  }
  return program.chosen();
}

}  // namespace
}  // namespace tessera::app

int main(int argc, char** argv) {
  try {
    return tessera::app::run(argc, argv);
  } catch (const std::exception& error) {
    // A broken promise of our own code, or no memory: nothing left to do but say so.
    fmt::print(stderr, "tessera: internal error: {}\n", error.what());
    return 70;
  }
}
