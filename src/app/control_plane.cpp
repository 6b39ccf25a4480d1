#include "app/control_plane.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include <arpa/inet.h>
#include <fmt/core.h>

#include "console/embedded.h"
#include "control/step.h"
#include "gateway/auth.h"
#include "solver/coin_solver.h"
#include "tenancy/tier.h"

namespace tessera::app {
namespace {

using base::fail;
using base::Reason;

const tenancy::Actor kSetup{"setup", tenancy::Role::kAdmin, ""};

std::vector<gateway::StaticFile> console_files() {
  std::vector<gateway::StaticFile> files;
  for (const auto& file : console::console_files()) files.push_back({file.path, file.bytes});
  return files;
}

/// Where this machine reaches itself: an address that stands for all of them is none to connect to.
std::string own_address(const std::string& address) {
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1 && v4.s_addr == htonl(INADDR_ANY))
    return "127.0.0.1";
  if (inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6)) return "::1";
  return address;
}

/// What the server's certificate is for.
base::Result<std::vector<std::string>> certified_names(const ControlPlaneOptions& options) {
  auto names = options.tls_names;
  const auto own = own_address(options.address);
  if (own != options.address && names.empty())
    return fail(Reason::kInvalidDocument,
                "who listens on every address does not know by which one others connect",
                "--tls-name", "name it, e.g. --tls-name fleet.example.org or --tls-name 10.0.0.7");
  names.push_back(own);
  if (own != options.address) names.emplace_back("localhost");
  return names;
}

base::Result<void> make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return fail(Reason::kUnavailable, "cannot make the data folder: " + error.message(), path,
                "choose another with --data");
  return {};
}

}  // namespace

base::Result<void> parse_listen(const std::string& text, ControlPlaneOptions& options) {
  const auto colon = text.rfind(':');
  const auto bad = [&] {
    return fail(Reason::kInvalidDocument, "\"" + text + "\" is not an address to listen on",
                "--listen", "write it as 127.0.0.1:8787 or [::1]:8787");
  };
  if (colon == std::string::npos || colon == 0) return bad();
  options.address = text.substr(0, colon);
  if (options.address.front() == '[' && options.address.back() == ']')
    options.address = options.address.substr(1, options.address.size() - 2);
  const char* end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data() + colon + 1, end, options.port);
  if (error != std::errc{} || next != end) return bad();
  return {};
}

base::Result<std::unique_ptr<ControlPlane>> ControlPlane::start(
    std::shared_ptr<const catalog::Catalog> catalog, const ControlPlaneOptions& options) {
  std::unique_ptr<ControlPlane> plane(new ControlPlane(options));
  if (auto made = make_folder(options.data); !made) return std::unexpected(made.error());
  auto journal = journal::SqliteJournal::open({.path = options.data + "/journal.db"});
  if (!journal) return std::unexpected(journal.error());
  plane->journal_ = std::move(*journal);
  if (auto served = plane->serve(std::move(catalog)); !served)
    return std::unexpected(served.error());
  if (auto signed_in = plane->sign_in(); !signed_in) return std::unexpected(signed_in.error());
  return plane;
}

base::Result<void> ControlPlane::serve(std::shared_ptr<const catalog::Catalog> catalog) {
  auto engine = service::Engine::start(std::move(catalog), *journal_, clock_, {});
  if (!engine) return std::unexpected(engine.error());
  engine_ = std::move(*engine);
  api_ = std::make_unique<gateway::Api>(*engine_, clock_,
                                        gateway::ApiOptions{.version = TESSERA_VERSION,
                                                            .console = console_files(),
                                                            .solver = solver::make_coin_solver});
  if (options_.tls) {
    auto names = certified_names(options_);
    if (!names) return std::unexpected(names.error());
    const auto agents = base::parse_duration(options_.agent_certificates);
    if (!agents || *agents < std::chrono::seconds(3))
      return fail(Reason::kInvalidQuantity,
                  "\"" + options_.agent_certificates + "\" is not a time of 3s or more",
                  "--agent-certificates", "write it as 30d or 12h");
    auto authority = tls::Authority::open(
        {.folder = options_.data + "/tls", .names = std::move(*names), .agent_lifetime = *agents},
        clock_);
    if (!authority) return std::unexpected(authority.error());
    authority_ = std::move(*authority);
    context_.trust.pin = authority_->pin();
    api_->admit_agents(authority_, !options_.agents_inside);
  }
  auto server = gateway::HttpServer::start(
      {.address = options_.address, .port = options_.port, .tls = authority_},
      [this](const auto& exchange) {
        if (open_)
          api_->handle(exchange);
        else
          exchange->reply(gateway::problem(base::Error{
              Reason::kUnavailable, "the control plane is starting", {}, "try again in a moment"}));
      });
  if (!server) return std::unexpected(server.error());
  server_ = std::move(*server);
  api_->metrics().set_server([server = server_.get()] { return server->counts(); });
  context_.server = {own_address(options_.address), server_->port(), options_.tls};
  return {};
}

ControlPlane::~ControlPlane() {
  if (api_) api_->stop();
  if (server_) server_->stop();
  if (engine_) engine_->stop();
}

base::Result<void> ControlPlane::sign_in() {
  const auto known = client::read_context(context_path());
  if (known && engine_->read([&](const control::State& state) {
        return state.find_token_by_digest(gateway::digest_of(known->token)) != nullptr;
      })) {
    context_.token = known->token;
  } else {
    auto token = make_token({.name = "admin", .role = tenancy::Role::kAdmin});
    if (!token) return std::unexpected(token.error());
    context_.token = std::move(*token);
  }
  return client::write_context(context_path(), context_);
}

/// Makes a token under the wished name, or "NAME-2" … where that is taken: its secret is lost.
base::Result<std::string> ControlPlane::make_token(tenancy::Token token) {
  const auto wished = token.name;
  const auto secret = gateway::new_secret();
  token.digest = gateway::digest_of(secret);
  for (int i = 2;; ++i) {
    const auto made = engine_->execute(control::PutToken{token}, kSetup);
    if (made) return secret;
    if (made.error().reason != Reason::kAlreadyExists) return std::unexpected(made.error());
    token.name = fmt::format("{}-{}", wished, i);
  }
}

base::Result<std::string> ControlPlane::agent_token(const std::string& node) {
  const auto folder = options_.data + "/agents";
  if (auto made = make_folder(folder); !made) return std::unexpected(made.error());
  const auto path = folder + "/" + node + ".yaml";
  const auto known = client::read_context(path);
  if (known && engine_->read([&](const control::State& state) {
        const auto* token = state.find_token_by_digest(gateway::digest_of(known->token));
        return token != nullptr && token->subject == node;
      }))
    return known->token;
  auto token =
      make_token({.name = "agent-" + node, .role = tenancy::Role::kAgent, .subject = node});
  if (!token) return token;
  if (auto kept = client::write_context(path, {context_.server, *token, context_.trust}); !kept)
    return std::unexpected(kept.error());
  return token;
}

base::Result<void> ControlPlane::declare(const std::vector<wire::Document>& documents) {
  control::Apply apply;
  bool tiers = engine_->read([](const control::State& state) { return !state.tiers().empty(); });
  for (const auto& document : documents)
    tiers |= std::holds_alternative<tenancy::Tier>(document.object);
  if (!tiers)
    for (auto& tier : tenancy::default_tiers())
      apply.documents.emplace_back(control::PutTier{std::move(tier)});
  for (const auto& document : documents) {
    const auto put = [&](auto object) { apply.documents.emplace_back(std::move(object)); };
    auto command = wire::command_of(document.object);
    if (auto* tier = std::get_if<control::PutTier>(&command))
      put(std::move(*tier));
    else if (auto* pool = std::get_if<control::PutPool>(&command))
      put(std::move(*pool));
    else if (auto* node = std::get_if<control::PutNode>(&command))
      put(std::move(*node));
    else if (auto* team = std::get_if<control::PutTeam>(&command))
      put(std::move(*team));
    else
      return fail(Reason::kInvalidDocument, "a fleet file cannot hold requests", document.where,
                  "submit them with `tessera request` once the fleet is up");
  }
  // Tiers before the pools that carry them, pools before their nodes and the teams' quotas.
  std::ranges::stable_sort(apply.documents, {},
                           [](const auto& document) { return document.index(); });
  const auto done = engine_->execute(std::move(apply), kSetup);
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace tessera::app
