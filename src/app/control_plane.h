#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "client/context.h"
#include "gateway/api.h"
#include "gateway/http_server.h"
#include "journal/sqlite_journal.h"
#include "service/engine.h"
#include "tls/authority.h"
#include "wire/document.h"

namespace tessera::app {

/// The real time.
class SystemClock final : public base::Clock {
 public:
  base::Instant now() const override {
    return std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now());
  }
};

/// The real time of the start, carried on by a clock that nobody sets: for agents, whose heartbeats
/// and retries must not stall when the machine's time is corrected.
class SteadyClock final : public base::Clock {
 public:
  base::Instant now() const override {
    return start_ + std::chrono::duration_cast<base::Duration>(std::chrono::steady_clock::now() -
                                                               steady_start_);
  }

 private:
  base::Instant start_ = SystemClock().now();
  std::chrono::steady_clock::time_point steady_start_ = std::chrono::steady_clock::now();
};

struct ControlPlaneOptions {
  std::string data;                        ///< folder of the journal and of context.yaml
  std::string address = "127.0.0.1";       ///< numeric
  std::uint16_t port = 8787;               ///< 0: any
  bool tls = false;                        ///< https, with a CA of our own in the data folder
  std::vector<std::string> tls_names;      ///< that clients connect to, beside the address
  std::string agent_certificates = "30d";  ///< how long an agent's certificate holds
  bool agents_inside = false;  ///< agents of this process come with a token, over https too
};

/// A running control plane: journal, engine, API and console, wired together.
/// Owned by main; its parts are stopped in the reverse order of their making.
class ControlPlane {
 public:
  /// Errors say which file or address and what to do. At the first start it makes an
  /// administrator's token; every start writes DATA/context.yaml with the address and that token.
  static base::Result<std::unique_ptr<ControlPlane>> start(
      std::shared_ptr<const catalog::Catalog> catalog, const ControlPlaneOptions& options);
  ~ControlPlane();

  /// From now on requests are served; before, each is answered 503. Whoever sees /readyz succeed
  /// finds the context written and the fleet declared.
  void open() { open_ = true; }
  /// Declares documents, all or nothing. A fleet without tiers of its own gets the default ones.
  base::Result<void> declare(const std::vector<wire::Document>& documents);
  /// A token for the agent of `node`: the one in DATA/agents.yaml, or a new one kept there.
  base::Result<std::string> agent_token(const std::string& node);

  service::Engine& engine() { return *engine_; }
  const client::Context& context() const { return context_; }
  /// Null: plain HTTP.
  const tls::Authority* authority() const { return authority_.get(); }
  std::string context_path() const { return options_.data + "/context.yaml"; }

 private:
  explicit ControlPlane(ControlPlaneOptions options) : options_(std::move(options)) {}
  base::Result<void> serve(std::shared_ptr<const catalog::Catalog> catalog);
  base::Result<void> sign_in();
  base::Result<std::string> make_token(tenancy::Token token);

  ControlPlaneOptions options_;
  SystemClock clock_;
  std::unique_ptr<journal::SqliteJournal> journal_;
  std::unique_ptr<service::Engine> engine_;
  std::shared_ptr<tls::Authority> authority_;
  std::unique_ptr<gateway::Api> api_;
  std::unique_ptr<gateway::HttpServer> server_;
  client::Context context_;
  std::atomic<bool> open_ = false;
};

/// "127.0.0.1:8787", "[::1]:0" taken apart into options.
base::Result<void> parse_listen(const std::string& text, ControlPlaneOptions& options);

}  // namespace tessera::app
