#include <atomic>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/connection.h"
#include "gateway/http_server.h"
#include "gateway/raw_client.h"
#include "tls/authority.h"

/// https from both ends: our server, and our client or bytes of any kind.
namespace tessera::gateway {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class SetTime final : public base::Clock {
 public:
  base::Instant now() const override { return now_; }
  void advance(base::Duration span) { now_ = now_.load() + span; }

 private:
  std::atomic<base::Instant> now_ =
      std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now());
};

class TlsServerTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(folder_); }
  void TearDown() override {
    if (server_) server_->stop();
    std::filesystem::remove_all(folder_);
  }

  std::shared_ptr<tls::Authority> authority(const std::string& name,
                                            std::vector<std::string> names = {"127.0.0.1"}) {
    auto opened =
        tls::Authority::open({.folder = folder_ + "/" + name, .names = std::move(names)}, clock_);
    EXPECT_TRUE(opened) << base::to_string(opened.error());
    return opened ? std::shared_ptr<tls::Authority>(std::move(*opened)) : nullptr;
  }
  void start(HttpOptions options) {
    auto server = HttpServer::start(std::move(options), [](const auto& exchange) {
      if (exchange->request().target != "/stream") return exchange->reply({200, {}, "well"});
      const auto stream = exchange->stream({200, {{"Content-Type", "text/event-stream"}}, {}});
      stream->write("id: 7\ndata: seven\n\n");
      stream->close();
    });
    ASSERT_TRUE(server) << base::to_string(server.error());
    server_ = std::move(*server);
  }
  client::Context context(const tls::Trust& trust, bool secure = true) const {
    return {{"127.0.0.1", server_->port(), secure}, "tsr_token", trust};
  }
  std::string refusal(const client::Context& context) const {
    client::Connection connection(context);
    const auto answer = connection.ask({.target = "/", .limit = 5s});
    return answer ? "answered: " + answer->body : base::to_string(answer.error());
  }

  SetTime clock_;
  std::string folder_ = testing::TempDir() + "tls_server_test";
  std::unique_ptr<HttpServer> server_;
};

TEST_F(TlsServerTest, AnswersAndStreamsToAClientThatTrustsItsCa) {
  const auto ours = authority("ours");
  start({.tls = ours});
  for (const tls::Trust& trust :
       {tls::Trust{{}, ours->pin()}, tls::Trust{ours->certificate_path(), {}}}) {
    client::Connection connection(context(trust));
    for (int i = 0; i < 3; ++i) {
      const auto answer = connection.ask({.target = "/"});
      ASSERT_TRUE(answer) << base::to_string(answer.error());
      EXPECT_EQ(answer->body, "well");
    }
    std::string seen;
    const auto followed = connection.follow("/stream", 5s, [&](const auto& event) {
      seen = event.id + event.data;
      return true;
    });
    EXPECT_TRUE(followed) << base::to_string(followed.error());
    EXPECT_EQ(seen, "7seven");
  }
  EXPECT_EQ(server_->counts().malformed, 0U);
}

TEST_F(TlsServerTest, SaysWhatToDoWhereAnotherCaIsTrusted) {
  start({.tls = authority("ours")});
  const auto others = authority("others");
  EXPECT_THAT(refusal(context({{}, others->pin()})), HasSubstr("`pin:`"));
  EXPECT_THAT(refusal(context({others->certificate_path(), {}})), HasSubstr("`pin:` or `ca:`"));
  EXPECT_THAT(refusal(context({})), HasSubstr("not trusted here"));
}

TEST_F(TlsServerTest, SaysWhatToDoWhereTheNameIsAnother) {
  const auto ours = authority("ours", {"fleet.example", "10.0.0.7"});
  start({.tls = ours});
  EXPECT_THAT(refusal(context({{}, ours->pin()})), HasSubstr("--tls-name"));
}

TEST_F(TlsServerTest, SaysWhatToDoWhereTheCertificateHasEnded) {
  clock_.advance(-200 * 24h);
  const auto late = authority("late");  // its server certificate ended 110 days ago
  start({.tls = late});
  EXPECT_THAT(refusal(context({{}, late->pin()})), HasSubstr("clocks of both machines"));
}

TEST_F(TlsServerTest, TellsWhoSpeaksPlainHttpToSpeakTls) {
  start({.tls = authority("ours")});
  EXPECT_THAT(refusal(context({}, false)), HasSubstr("write https://"));
  EXPECT_EQ(server_->counts().malformed, 1U);
}

TEST_F(TlsServerTest, TellsWhoSpeaksTlsThatPlainHttpIsSpoken) {
  start({});
  EXPECT_THAT(refusal(context({})), HasSubstr("write http://"));
}

TEST_F(TlsServerTest, GarbageCostsAConnectionAndNobodyElse) {
  const auto ours = authority("ours");
  start({.tls = ours});
  client::Connection connection(context({{}, ours->pin()}));
  for (const std::string& garbage :
       {std::string(64 << 10, '\0'), std::string("\x16\x03\x01\xff\xff") + std::string(70'000, 'x'),
        std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10),
        std::string("SSH-2.0-x\r\n")}) {
    RawClient raw(server_->port());
    raw.send(garbage);
    raw.end_sending();
    EXPECT_THAT(raw.read_all(), Not(HasSubstr("HTTP/1.1")));
    EXPECT_TRUE(raw.closed());
    EXPECT_TRUE(connection.ask({.target = "/"}));
  }
  EXPECT_EQ(server_->counts().malformed, 4U);
}

TEST_F(TlsServerTest, AHandshakeHasATimeLimitHoweverSlowlyItGoesOn) {
  start({.tls = authority("ours"), .handshake_timeout = 200ms});
  RawClient silent(server_->port());
  RawClient slow(server_->port());
  const auto begin = std::chrono::steady_clock::now();
  // A record of 512 bytes that comes a byte at a time.
  slow.send(std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
  while (slow.send("x") && std::chrono::steady_clock::now() < begin + 5s)
    std::this_thread::sleep_for(10ms);
  silent.read_all();
  EXPECT_TRUE(silent.closed());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);
  EXPECT_EQ(server_->counts().timed_out, 2U);
}

TEST_F(TlsServerTest, HandshakesCountAsConnections) {
  const auto ours = authority("ours");
  start({.tls = ours, .max_connections = 2});
  RawClient one(server_->port());
  RawClient other(server_->port());
  for (int i = 0; i < 500 && server_->counts().open < 2; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_THAT(refusal(context({{}, ours->pin()})), HasSubstr("does not answer"));
  EXPECT_EQ(server_->counts().turned_away, 1U);
}

TEST_F(TlsServerTest, StoppingDoesNotWaitForAHandshake) {
  start({.tls = authority("ours")});
  RawClient silent(server_->port());
  for (int i = 0; i < 500 && server_->counts().open < 1; ++i) std::this_thread::sleep_for(10ms);
  const auto begin = std::chrono::steady_clock::now();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
}

}  // namespace
}  // namespace tessera::gateway
