#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/api.h"
#include "gateway/auth.h"
#include "gateway/raw_client.h"
#include "journal/memory_journal.h"
#include "service/engine_world.h"
#include "service/manual_clock.h"
#include "wire/agent_protocol.h"

/// For tests of the API: a control plane in memory behind a real server on the loopback interface,
/// with a small fleet and a token of every role.
namespace tessera::gateway {

using namespace std::chrono_literals;

struct Reply {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;

  wire::Json json() const { return wire::Json::parse(body, nullptr, false); }
  std::string reason() const { return json().value("reason", std::string()); }
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

inline Reply parse_reply(const std::string& text) {
  Reply reply;
  const auto end = text.find("\r\n\r\n");
  if (end == std::string::npos) return reply;
  reply.status = std::atoi(text.c_str() + std::min<std::size_t>(9, text.size()));
  reply.body = text.substr(end + 4);
  for (auto at = text.find("\r\n") + 2; at < end;) {
    const auto line_end = text.find("\r\n", at);
    const auto colon = text.find(": ", at);
    std::string name = text.substr(at, colon - at);
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    reply.headers[name] = text.substr(colon + 2, line_end - colon - 2);
    at = line_end + 2;
  }
  return reply;
}

class ApiWorld : public testing::Test {
 protected:
  void SetUp() override { start({}); }
  void TearDown() override { stop(); }

  void start(ApiOptions options) {
    stop();
    auto engine = service::Engine::start(service::shared_catalog(), journal_, clock_, {});
    ASSERT_TRUE(engine) << to_string(engine.error());
    engine_ = std::move(*engine);
    api_ = std::make_unique<Api>(*engine_, clock_, std::move(options));
    auto server = HttpServer::start({}, [this](const auto& exchange) { api_->handle(exchange); });
    ASSERT_TRUE(server) << to_string(server.error());
    server_ = std::move(*server);
    if (engine_->status().revision == 0) furnish();
  }
  void stop() {
    if (api_) api_->stop();
    if (server_) server_->stop();
    server_.reset();
    api_.reset();
    engine_.reset();
  }

  void furnish() {
    ASSERT_TRUE(engine_->execute(service::small_fleet(), service::kAdmin));
    tenancy::Team speech;
    speech.name = "speech";
    ASSERT_TRUE(engine_->execute(control::PutTeam{speech}, service::kAdmin));
    using tenancy::Role;
    for (const auto& [name, role, subject] :
         {std::tuple{"viewer", Role::kViewer, ""}, std::tuple{"member", Role::kMember, "vision"},
          std::tuple{"operator", Role::kOperator, ""}, std::tuple{"admin", Role::kAdmin, ""},
          std::tuple{"agent", Role::kAgent, "node-1"}}) {
      const tenancy::Token token{.name = name,
                                 .role = role,
                                 .subject = subject,
                                 .digest = digest_of(secret(name)),
                                 .expires = std::nullopt};
      ASSERT_TRUE(engine_->execute(control::PutToken{token}, service::kAdmin));
    }
    report();
  }
  /// The node says that it is there and did all it was told.
  void report() {
    const auto report = engine_->read(service::report_of);
    ASSERT_TRUE(engine_->execute(report, service::kAgent));
  }

  static std::string secret(const std::string& role) { return "tsr_" + role; }

  static std::string request_text(const std::string& role, const std::string& method,
                                  const std::string& target, const std::string& body = {},
                                  const std::string& headers = {}) {
    std::string text = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n";
    if (!role.empty()) text += "Authorization: Bearer " + secret(role) + "\r\n";
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return text + headers + "\r\n" + body;
  }

  Reply call(const std::string& role, const std::string& method, const std::string& target,
             const std::string& body = {}, const std::string& headers = {}) {
    RawClient client(server_->port());
    client.send(request_text(role, method, target, body, headers + "Connection: close\r\n"));
    return parse_reply(client.read_all(20s));
  }

  std::uint64_t revision() { return engine_->status().revision; }

  static constexpr const char* kNeed =
      R"({"spec":{"team":"vision","tier":"production","memory":"10GB","duration":"8h"}})";

  journal::MemoryJournal journal_;
  service::ManualClock clock_{base::Instant(std::chrono::hours(500'000))};
  std::unique_ptr<service::Engine> engine_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace tessera::gateway
