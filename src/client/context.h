#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "tls/trust.h"

/// Where a control plane is and who we are there.
namespace tessera::client {

/// "http://127.0.0.1:8787", "https://fleet.example", taken apart.
struct Server {
  std::string host;
  std::uint16_t port = 80;
  bool secure = false;  ///< https
  std::string url() const;
};
/// Errors: kInvalidDocument (not http://HOST[:PORT] or https://HOST[:PORT]).
base::Result<Server> parse_server(std::string_view url);

/// A context file: `server`, whom to believe for https, `ca` (a path) or `pin`, and who we are,
/// `token` or, for an agent that has joined, `identity` (a path, see tls/identity.h).
/// `tessera up` writes one as DATA/context.yaml.
struct Context {
  Server server;
  std::string token;
  tls::Trust trust{};
  std::string identity{};
};
base::Result<Context> read_context(const std::string& path);
/// Replaces the file in one step, readable by its owner alone.
base::Result<void> write_context(const std::string& path, const Context& context);

}  // namespace tessera::client
