#include "client/join.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/connection.h"
#include "gateway/api_world.h"
#include "tls/authority.h"
#include "tls/identity.h"
#include "wire/join_protocol.h"

/// Joining, from both ends: the API behind our server, and our client.
namespace tessera::gateway {
namespace {

using base::Reason;
using testing::HasSubstr;

constexpr auto kLife = 30 * 24h;

class JoinWorld : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    auto engine = service::Engine::start(service::shared_catalog(), journal_, clock_, {});
    ASSERT_TRUE(engine) << to_string(engine.error());
    engine_ = std::move(*engine);
    ASSERT_TRUE(engine_->execute(service::small_fleet(), service::kAdmin));
    put_token({.name = "admin", .role = tenancy::Role::kAdmin, .digest = digest_of("tsr_admin")});
    put_token({.name = "agent",
               .role = tenancy::Role::kAgent,
               .subject = "node-1",
               .digest = digest_of("tsr_agent")});
    auto authority = tls::Authority::open(
        {.folder = folder_ + "/tls", .names = {"127.0.0.1"}, .agent_lifetime = kLife}, clock_);
    ASSERT_TRUE(authority) << to_string(authority.error());
    authority_ = std::move(*authority);
    serve();
  }
  void TearDown() override {
    if (api_) api_->stop();
    if (server_) server_->stop();
    server_.reset();
    api_.reset();
    engine_.reset();
    std::filesystem::remove_all(folder_);
  }
  void serve() {
    api_ = std::make_unique<Api>(*engine_, clock_, ApiOptions{});
    api_->admit_agents(authority_, true);
    auto server = HttpServer::start({.tls = authority_},
                                    [this](const auto& exchange) { api_->handle(exchange); });
    ASSERT_TRUE(server) << to_string(server.error());
    server_ = std::move(*server);
  }
  void put_token(const tenancy::Token& token) {
    ASSERT_TRUE(engine_->execute(control::PutToken{token}, service::kAdmin));
  }

  client::Context context(const std::string& token) const {
    return {{"127.0.0.1", server_->port(), true}, token, {{}, authority_->pin()}};
  }
  /// As `tessera token NAME --node NODE --join` makes one.
  client::JoinToken join_token(const std::string& node = "node-1", const std::string& life = "1h") {
    static int count = 0;
    client::Connection admin(context("tsr_admin"));
    const auto made = admin.ask({.method = "POST",
                                 .target = "/v1/tokens",
                                 .body = wire::Json{
                                     {"name", "join-" + std::to_string(++count)},
                                     {"role", "agent"},
                                     {"subject", node},
                                     {"expiresIn", life},
                                     {"join",
                                      true}}.dump()});
    EXPECT_TRUE(made) << to_string(made.error());
    const auto secret = made ? wire::Json::parse(made->body)["status"]["secret"] : wire::Json("");
    return {{"127.0.0.1", server_->port(), true}, node, authority_->pin(), secret};
  }
  static base::Result<client::Answer> whoami(const client::Context& context) {
    return client::Connection(context).ask({.target = "/v1/whoami"});
  }
  static base::Result<client::Answer> post(const client::Context& context,
                                           const std::string& target, const wire::Json& body) {
    return client::Connection(context).ask(
        {.method = "POST", .target = target, .body = body.dump()});
  }
  std::string place(const std::string& name = "agent") const { return folder_ + "/" + name; }
  std::string serial(const client::Context& context) const {
    const auto identity = tls::read_identity(context.identity);
    return identity ? tls::pin_of(*identity->certificate) : to_string(identity.error());
  }

  std::string folder_ = testing::TempDir() + "join_test";
  journal::MemoryJournal journal_;
  // OpenSSL goes by the real time in a handshake. 25 days before it there is room to go on without
  // leaving what holds then, and what is made on the way holds, too.
  service::ManualClock clock_{
      std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now() - 25 * 24h)};
  std::shared_ptr<tls::Authority> authority_;
  std::unique_ptr<service::Engine> engine_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(JoinWorld, WhoJoinsIsTheNodeOfItsCertificateAlone) {
  auto context = client::join(join_token(), place());
  ASSERT_TRUE(context) << to_string(context.error());
  EXPECT_TRUE(context->token.empty());
  const auto answer = whoami(*context);
  ASSERT_TRUE(answer) << to_string(answer.error());
  const auto who = wire::Json::parse(answer->body);
  EXPECT_EQ(who["role"], "agent");
  EXPECT_EQ(who["subject"], "node-1");
  // A token that is sent along changes nothing.
  context->token = "tsr_admin";
  EXPECT_EQ(wire::Json::parse(whoami(*context)->body)["role"], "agent");
  // Another node is none of its business.
  const auto other = post(*context, "/v1/agent/nodes/node-2/certificate", {{"request", "x"}});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().reason, Reason::kForbidden);
  // It comes back after a restart with what it wrote.
  const auto again = client::read_context(client::joined_context_path(place()));
  ASSERT_TRUE(again) << to_string(again.error());
  EXPECT_TRUE(whoami(*again));
}

TEST_F(JoinWorld, TheKeyIsForItsOwnerAlone) {
  const auto context = client::join(join_token(), place());
  ASSERT_TRUE(context);
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(context->identity).permissions(),
            perms::owner_read | perms::owner_write);
  EXPECT_EQ(std::filesystem::status(place()).permissions(), perms::owner_all);
}

TEST_F(JoinWorld, ATokenIsGoodOnce) {
  const auto token = join_token();
  ASSERT_TRUE(client::join(token, place()));
  const auto second = client::join(token, place("other"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, Reason::kUnauthenticated);
  EXPECT_FALSE(std::filesystem::exists(place("other") + "/identity.pem"));
}

// Stopped in between, the token was used up and nobody had joined with it.
TEST_F(JoinWorld, JoiningIsOneRecord) {
  for (int i = 0; i < 2; ++i) {  // the second time in place of the first key
    const auto token = join_token();
    const auto before = *journal_.last_revision();
    ASSERT_TRUE(client::join(token, place()));
    EXPECT_EQ(*journal_.last_revision(), before + 1);
  }
}

TEST_F(JoinWorld, ATokenInTheWayOfTheKeyStaysAndCostsNoTokenToJoin) {
  put_token({.name = "certificate-node-1", .digest = digest_of("tsr_other")});
  const auto token = join_token();
  const auto refused = client::join(token, place());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kConflict);
  ASSERT_TRUE(engine_->execute(control::DeleteToken{"certificate-node-1"}, service::kAdmin));
  EXPECT_TRUE(client::join(token, place()));
}

TEST_F(JoinWorld, OfManyWhoComeAtOnceOneJoins) {
  const auto token = join_token();
  std::atomic<int> joined = 0;
  {
    std::vector<std::jthread> agents;
    for (int i = 0; i < 6; ++i)
      agents.emplace_back([&, i] {
        if (client::join(token, place("agent" + std::to_string(i)))) ++joined;
      });
  }
  EXPECT_EQ(joined, 1);
}

TEST_F(JoinWorld, ATokenEnds) {
  const auto token = join_token("node-1", "10m");
  clock_.advance(10min);
  EXPECT_FALSE(client::join(token, place()));
}

TEST_F(JoinWorld, ATokenToJoinIsNoTokenToAskWith) {
  const auto token = join_token();
  for (const std::string& secret : {token.secret, "join:" + token.secret})
    EXPECT_FALSE(whoami(context(secret)));
  // And the other way round.
  EXPECT_FALSE(
      post(context(""), "/v1/join",
           wire::encode(wire::JoinWish{"tsr_admin", tls::make_request(tls::make_key().get())})));
  ASSERT_TRUE(client::join(token, place()));
}

TEST_F(JoinWorld, NothingIsToldToWhomeverHasAnotherPin) {
  auto token = join_token();
  const auto pin = std::exchange(token.pin, "sha256:" + std::string(64, '0'));
  EXPECT_FALSE(client::join(token, place()));
  token.pin = pin;
  EXPECT_TRUE(client::join(token, place()));
}

TEST_F(JoinWorld, AnAgentsTokenAloneIsNotBelieved) {
  const auto answer = whoami(context("tsr_agent"));
  ASSERT_FALSE(answer);
  EXPECT_THAT(to_string(answer.error()), HasSubstr("--join"));
}

TEST_F(JoinWorld, JoiningAgainReplacesTheKey) {
  const auto lost = client::join(join_token(), place("lost"));
  ASSERT_TRUE(lost);
  const auto found = client::join(join_token(), place("found"));
  ASSERT_TRUE(found) << to_string(found.error());
  EXPECT_TRUE(whoami(*found));
  EXPECT_FALSE(whoami(*lost));
}

TEST_F(JoinWorld, DeletingItsKeyEndsAnAgentAtOnce) {
  const auto context = client::join(join_token(), place());
  ASSERT_TRUE(context);
  client::Connection connection(*context);
  ASSERT_TRUE(connection.ask({.target = "/v1/whoami"}));
  ASSERT_TRUE(engine_->execute(control::DeleteToken{"certificate-node-1"}, service::kAdmin));
  const auto after = connection.ask({.target = "/v1/whoami"});  // on the same connection
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().reason, Reason::kUnauthenticated);
}

TEST_F(JoinWorld, AConnectionDoesNotOutliveItsCertificate) {
  const auto context = client::join(join_token(), place());
  ASSERT_TRUE(context);
  client::Connection connection(*context);
  ASSERT_TRUE(connection.ask({.target = "/v1/whoami"}));
  clock_.advance(kLife + 1h);
  EXPECT_FALSE(connection.ask({.target = "/v1/whoami"}));
}

TEST_F(JoinWorld, ARenewalGoesOnWithTheSameKeyAndIsUsedByOpenConnections) {
  const auto context = client::join(join_token(), place());
  ASSERT_TRUE(context);
  client::Connection connection(*context);
  ASSERT_TRUE(connection.ask({.target = "/v1/whoami"}));
  const auto before = serial(*context);
  const auto key = tls::digest_of_key(*tls::read_identity(context->identity)->key);
  clock_.advance(22 * 24h);
  const auto renewed = client::renew(*context);
  ASSERT_TRUE(renewed) << to_string(renewed.error());
  EXPECT_NE(serial(*context), before);
  EXPECT_EQ(tls::digest_of_key(*tls::read_identity(context->identity)->key), key);
  clock_.advance(9 * 24h);  // the first one has ended
  const auto connections = server_->counts().connections;
  const auto answer = connection.ask({.target = "/v1/whoami"});
  EXPECT_TRUE(answer) << to_string(answer.error());
  EXPECT_EQ(server_->counts().connections, connections + 1);
}

TEST_F(JoinWorld, TheRenewerRenewsByItself) {
  const auto context = client::join(join_token(), place());
  ASSERT_TRUE(context);
  const auto before = serial(*context);
  clock_.advance(kLife * 3 / 4);
  std::atomic<int> troubles = 0;
  const client::Renewer renewer(*context, clock_, [&](const base::Error&) { ++troubles; });
  for (int i = 0; i < 500 && serial(*context) == before; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_NE(serial(*context), before);
  EXPECT_EQ(troubles, 0);
}

TEST_F(JoinWorld, TheRenewerToldOffSaysSoOnceAndGoesOn) {
  const auto context = client::join(join_token(), place());
  ASSERT_TRUE(context);
  ASSERT_TRUE(engine_->execute(control::DeleteToken{"certificate-node-1"}, service::kAdmin));
  clock_.advance(kLife - 2s);  // it tries every second
  std::atomic<int> troubles = 0;
  {
    const client::Renewer renewer(*context, clock_, [&](const base::Error&) { ++troubles; });
    std::this_thread::sleep_for(2500ms);
  }
  EXPECT_EQ(troubles, 1);
}

// It renewed every second: by its clock what it had just got was nearly over.
TEST_F(JoinWorld, TheRenewerOfAMachineWhoseClockIsFarAheadRests) {
  const auto context = client::join(join_token(), place());
  ASSERT_TRUE(context);
  const auto before = serial(*context);
  const service::ManualClock ahead(clock_.now() + 10 * kLife);
  const client::Renewer renewer(*context, ahead, [](const base::Error&) {});
  for (int i = 0; i < 500 && serial(*context) == before; ++i) std::this_thread::sleep_for(10ms);
  const auto renewed = serial(*context);
  ASSERT_NE(renewed, before);
  std::this_thread::sleep_for(2500ms);
  EXPECT_EQ(serial(*context), renewed);
}

TEST_F(JoinWorld, TheRenewerRecovers) {
  const auto context = client::join(join_token(), place());
  ASSERT_TRUE(context);
  const auto before = serial(*context);
  const auto key = engine_->read(
      [](const control::State& state) { return state.tokens().at("certificate-node-1"); });
  ASSERT_TRUE(engine_->execute(control::DeleteToken{key.name}, service::kAdmin));
  clock_.advance(kLife - 2s);  // it tries every second
  std::atomic<int> troubles = 0;
  const client::Renewer renewer(*context, clock_, [&](const base::Error&) { ++troubles; });
  for (int i = 0; i < 500 && troubles == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(troubles, 1);
  put_token(key);
  for (int i = 0; i < 500 && serial(*context) == before; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_NE(serial(*context), before);
}

TEST_F(JoinWorld, ARenewalOfAnotherKeyIsRefused) {
  const auto context = client::join(join_token(), place());
  ASSERT_TRUE(context);
  const auto other = tls::make_key();
  const auto answer = post(*context, "/v1/agent/nodes/node-1/certificate",
                           wire::certificate_wish(tls::make_request(other.get())));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().reason, Reason::kForbidden);
}

TEST_F(JoinWorld, HostileRequestsAreRefusedAndCostNoToken) {
  const auto token = join_token();
  const auto good = tls::make_request(tls::make_key().get());
  std::vector<std::string> bad = {"",
                                  "x",
                                  std::string(3'000, 'A'),
                                  "-----BEGIN CERTIFICATE REQUEST-----\n",
                                  "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
                                  "-----END CERTIFICATE REQUEST-----\n",
                                  authority_->certificate()};
  // Every byte of the body wrong once: not read, or not signed by its own key.
  const auto begin = good.find('\n') + 1;
  const auto end = good.find("-----END") - 1;
  for (auto i = begin; i < end; i += 3) {
    auto wrong = good;
    wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
    bad.push_back(std::move(wrong));
  }
  for (const auto& request : bad) {
    const auto answer =
        post(context(""), "/v1/join", wire::encode(wire::JoinWish{token.secret, request}));
    ASSERT_FALSE(answer) << request.substr(0, 2000);
    EXPECT_EQ(answer.error().reason, Reason::kInvalidDocument) << request.substr(0, 2000);
  }
  EXPECT_TRUE(client::join(token, place()));
}

TEST_F(JoinWorld, ACertificateOfAnotherCaEndsTheHandshake) {
  auto context = client::join(join_token(), place());
  ASSERT_TRUE(context);
  const auto other = tls::Authority::open({.folder = folder_ + "/other", .names = {"x"}}, clock_);
  ASSERT_TRUE(other);
  const auto identity = tls::read_identity(context->identity);
  const auto forged = (*other)->certify_agent(tls::make_request(identity->key.get()), "node-1");
  ASSERT_TRUE(forged);
  ASSERT_TRUE(tls::write_identity(context->identity, identity->key.get(), forged->pem));
  EXPECT_FALSE(whoami(*context));
}

TEST_F(JoinWorld, WhoServesPlainHttpLetsNobodyJoin) {
  server_->stop();
  api_ = std::make_unique<Api>(*engine_, clock_, ApiOptions{});
  auto server = HttpServer::start({}, [this](const auto& exchange) { api_->handle(exchange); });
  ASSERT_TRUE(server);
  server_ = std::move(*server);
  client::Context plain{{"127.0.0.1", server_->port(), false}, "tsr_admin"};
  const auto answer =
      post(plain, "/v1/tokens",
           {{"name", "j"}, {"role", "agent"}, {"subject", "node-1"}, {"join", true}});
  ASSERT_FALSE(answer);
  EXPECT_THAT(to_string(answer.error()), HasSubstr("--tls"));
}

}  // namespace
}  // namespace tessera::gateway
