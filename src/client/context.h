#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

/// Where a control plane is and who we are there.
namespace tessera::client {

/// "http://127.0.0.1:8787", taken apart.
struct Server {
  std::string host;
  std::uint16_t port = 80;
  std::string url() const;
};
/// Errors: kInvalidDocument (not http://HOST[:PORT]).
base::Result<Server> parse_server(std::string_view url);

/// A context file: `server` and `token`. `tessera up` writes one as DATA/context.yaml.
struct Context {
  Server server;
  std::string token;
};
base::Result<Context> read_context(const std::string& path);
/// Replaces the file in one step, readable by its owner alone.
base::Result<void> write_context(const std::string& path, const Context& context);

}  // namespace tessera::client
