#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "base/time.h"
#include "client/connection.h"
#include "wire/json.h"

/// Asking for a piece of a GPU, as several commands do.
namespace tessera::app {

/// The options that state a need, as text until they are parsed.
struct NeedOptions {
  std::string team, purpose, memory, isolation = "shared", duration, pool, tier, cpu, host_memory;
  double compute = 0;
  std::int64_t sms = 0;
  int count = 1;
  int gpus = 0;  ///< whole ones on each node, instead of count and isolation; 0: not so
  int nodes = 1;
  std::string nvlink = "preferred";
  std::vector<std::string> models;
};

/// Adds them to a command; --team is required. `need` must outlive it.
void add_need_options(CLI::App& command, NeedOptions& need);

/// Submits a request, once however often it is sent, and waits until it is granted and ready, or
/// until that takes longer than moments. Returns the request as it is then.
base::Result<wire::Json> ask_and_wait(client::Connection& connection, const NeedOptions& need,
                                      base::Duration longest);

}  // namespace tessera::app
