#include "gateway/http_server.h"

#include <atomic>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "gateway/raw_client.h"

namespace tessera::gateway {
namespace {

using namespace std::chrono_literals;

std::string get(std::string_view target, std::string_view more = {}) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more) + "\r\n";
}

/// Counts how often `text` occurs.
int count(std::string_view where, std::string_view text) {
  int found = 0;
  for (auto at = where.find(text); at != std::string_view::npos; at = where.find(text, at + 1))
    ++found;
  return found;
}

/// A server whose handler answers with what it was asked, save for a few special paths.
class HttpServerTest : public testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    auto server = HttpServer::start(options, [this](const auto& exchange) { handle(exchange); });
    ASSERT_TRUE(server) << to_string(server.error());
    server_ = std::move(*server);
  }

  void handle(const std::shared_ptr<Exchange>& exchange) {
    const HttpRequest& request = exchange->request();
    if (request.target == "/forget") return;
    if (request.target == "/hold") {
      const std::lock_guard lock(mutex_);
      held_.push_back(exchange);
    } else if (request.target == "/later") {
      ++later_;
      exchange->after(30ms, [exchange] { exchange->reply({200, {}, "later"}); });
    } else if (request.target == "/stream") {
      auto stream = exchange->stream({200, {{"Content-Type", "text/event-stream"}}, {}});
      const std::lock_guard lock(mutex_);
      streams_.push_back(stream);
    } else if (request.target == "/big") {
      exchange->reply({200, {}, std::string(8 << 20, 'x')});
    } else {
      exchange->reply({200, {}, request.method + " " + request.target + " [" + request.body + "]"});
    }
  }

  std::shared_ptr<ResponseStream> stream() {
    for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms)) {
      const std::lock_guard lock(mutex_);
      if (!streams_.empty()) return streams_.back();
    }
    return nullptr;
  }
  template <class Condition>
  static bool eventually(Condition condition) {
    for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms))
      if (condition()) return true;
    return false;
  }

  std::mutex mutex_;
  std::atomic<int> later_ = 0;  ///< requests for /later that have arrived
  std::vector<std::shared_ptr<Exchange>> held_;
  std::vector<std::shared_ptr<ResponseStream>> streams_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  start();
  RawClient client(server_->port());
  client.send(get("/one"));
  EXPECT_NE(client.read_until("GET /one []").find("HTTP/1.1 200 OK"), std::string::npos);
  client.send("POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_NE(client.read_until("POST /two [abc]").find("POST /two [abc]"), std::string::npos);
  client.send(
      "PUT /three HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
  EXPECT_NE(client.read_until("PUT /three [ab]").find("PUT /three [ab]"), std::string::npos);
  EXPECT_EQ(server_->counts().connections, 1u);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  RawClient client(server_->port());
  std::string all = get("/later");
  for (int i = 0; i < 50; ++i) all += get("/" + std::to_string(i));
  client.send(all + get("/last", "Connection: close\r\n"));
  const std::string seen = client.read_all();
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(count(seen, "HTTP/1.1 200 OK"), 52);
  std::size_t at = seen.find("later");
  for (int i = 0; i < 50; ++i) {
    const auto next = seen.find("GET /" + std::to_string(i) + " ", at);
    ASSERT_NE(next, std::string::npos) << i;
    at = next;
  }
}

TEST_F(HttpServerTest, LeavesTheBodyOutOfTheAnswerToHead) {
  start();
  RawClient client(server_->port());
  client.send("HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string seen = client.read_all();
  EXPECT_NE(seen.find("Content-Length: 10\r\n"), std::string::npos) << seen;
  EXPECT_TRUE(seen.ends_with("\r\n\r\n")) << seen;
}

TEST_F(HttpServerTest, SpeaksHttp10) {
  start();
  RawClient client(server_->port());
  client.send("GET /old HTTP/1.0\r\n\r\n");
  EXPECT_NE(client.read_all().find("GET /old []"), std::string::npos);
  EXPECT_TRUE(client.closed());
}

TEST_F(HttpServerTest, RefusesMalformedRequests) {
  start();
  for (const char* bytes :
       {"nonsense\r\n\r\n", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\x16\x03\x01\x02\x01\x01\x01\x01\x01\r\n\r\n"}) {
    RawClient client(server_->port());
    client.send(bytes);
    client.end_sending();
    const std::string seen = client.read_all();
    EXPECT_TRUE(client.closed());
    EXPECT_TRUE(seen.starts_with("HTTP/1.1 400 ")) << bytes << " -> " << seen;
    EXPECT_NE(seen.find("application/problem+json"), std::string::npos);
  }
  EXPECT_GT(server_->counts().malformed, 5u);
  RawClient client(server_->port());
  client.send(get("/still"));
  EXPECT_NE(client.read_until("/still").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, TellsWhoSendsTenMegabytesThatItIsTooMuch) {
  start();
  const std::string body(10'000'000, 'x');
  RawClient declared(server_->port());
  EXPECT_TRUE(declared.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"));
  EXPECT_TRUE(declared.send(body));
  EXPECT_TRUE(declared.read_until("}").starts_with("HTTP/1.1 413 "));
  declared.end_sending();
  declared.read_all();
  EXPECT_FALSE(declared.reset());

  RawClient chunked(server_->port());
  chunked.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n989680\r\n");
  EXPECT_TRUE(chunked.send(body));
  EXPECT_TRUE(chunked.read_until("}").starts_with("HTTP/1.1 413 "));

  RawClient asking(server_->port());
  asking.send(
      "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10000000\r\n\r\n");
  EXPECT_TRUE(asking.read_until("}").starts_with("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, LetsAClientAskBeforeItSends) {
  start();
  RawClient client(server_->port());
  client.send("POST /p HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 100 Continue"));
  client.send("ok");
  EXPECT_NE(client.read_until("[ok]").find("POST /p [ok]"), std::string::npos);
}

TEST_F(HttpServerTest, LimitsHeaderAndAddress) {
  start();
  RawClient header(server_->port());
  header.send(get("/", "X: " + std::string(20'000, 'x') + "\r\n"));
  EXPECT_TRUE(header.read_until("}").starts_with("HTTP/1.1 431 "));
  RawClient many(server_->port());
  std::string fields;
  for (int i = 0; i < 3'000; ++i) fields += "A: b\r\n";
  many.send(get("/", fields));
  EXPECT_TRUE(many.read_until("}").starts_with("HTTP/1.1 431 "));
  RawClient address(server_->port());
  address.send(get("/" + std::string(9'000, 'x')));
  EXPECT_TRUE(address.read_until("}").starts_with("HTTP/1.1 414 "));
}

TEST_F(HttpServerTest, CutsWhoSendsHeaderOrBodyTooSlowly) {
  HttpOptions options;
  options.header_timeout = 200ms;
  options.body_timeout = 200ms;
  start(options);
  RawClient header(server_->port());
  RawClient body(server_->port());
  header.send("GET / HTTP/1.1\r\n");
  body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
  const auto begin = std::chrono::steady_clock::now();
  // A byte now and then must not extend the deadline.
  while (std::chrono::steady_clock::now() - begin < 3s) {
    const bool alive = header.send("X") && body.send("x");
    if (!alive) break;
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  EXPECT_TRUE(eventually([&] { return server_->counts().timed_out == 2; }));
  EXPECT_TRUE(eventually([&] { return server_->counts().open == 0; }));
}

TEST_F(HttpServerTest, ClosesIdleConnections) {
  HttpOptions options;
  options.idle_timeout = 100ms;
  start(options);
  RawClient silent(server_->port());
  RawClient once(server_->port());
  once.send(get("/once"));
  once.read_all(2s);
  silent.read_all(2s);
  EXPECT_TRUE(silent.closed());
  EXPECT_TRUE(once.closed());
}

TEST_F(HttpServerTest, CutsWhoReadsTooSlowly) {
  HttpOptions options;
  options.write_timeout = 200ms;
  start(options);
  RawClient client(server_->port());
  client.send(get("/big"));
  EXPECT_TRUE(eventually([&] { return server_->counts().timed_out == 1; }));
  EXPECT_TRUE(eventually([&] { return server_->counts().open == 0; }));
}

TEST_F(HttpServerTest, TurnsAwayConnectionsAboveTheLimit) {
  HttpOptions options;
  options.max_connections = 3;
  start(options);
  {
    RawClient a(server_->port()), b(server_->port()), c(server_->port());
    ASSERT_TRUE(eventually([&] { return server_->counts().open == 3; }));
    RawClient d(server_->port());
    EXPECT_TRUE(d.read_all(2s).starts_with("HTTP/1.1 503 "));
    EXPECT_EQ(server_->counts().turned_away, 1u);
  }
  ASSERT_TRUE(eventually([&] { return server_->counts().open == 0; }));
  RawClient e(server_->port());
  e.send(get("/again"));
  EXPECT_NE(e.read_until("/again").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, WaitingAnswersHoldNoThread) {
  HttpOptions options;
  options.threads = 1;
  start(options);
  std::vector<std::unique_ptr<RawClient>> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.push_back(std::make_unique<RawClient>(server_->port()));
    waiting.back()->send(get("/hold"));
  }
  RawClient other(server_->port());
  other.send(get("/other"));
  EXPECT_NE(other.read_until("/other").find("200 OK"), std::string::npos);
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex_);
    return held_.size() == 20;
  }));
  for (auto& exchange : held_) exchange->reply({200, {}, "at last"});
  for (auto& exchange : held_) exchange->reply({500, {}, "twice"});
  for (auto& client : waiting)
    EXPECT_NE(client->read_until("at last").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, AnswersForAHandlerThatForgetsOrTakesTooLong) {
  HttpOptions options;
  options.answer_timeout = 100ms;
  start(options);
  RawClient client(server_->port());
  client.send(get("/forget"));
  EXPECT_TRUE(client.read_until("}").starts_with("HTTP/1.1 500 "));
  RawClient slow(server_->port());
  slow.send(get("/hold"));
  EXPECT_TRUE(slow.read_until("}").starts_with("HTTP/1.1 503 "));
  slow.send(get("/next"));
  slow.read_until("/next");
  held_.front()->reply({200, {}, "too late"});
  slow.send(get("/after"));
  EXPECT_EQ(slow.read_until("/after").find("too late"), std::string::npos);
}

TEST_F(HttpServerTest, StreamsPartsAndNoticesTheClientLeave) {
  start();
  auto client = std::make_unique<RawClient>(server_->port());
  client->send(get("/stream"));
  const auto out = stream();
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->write("data: 1\n\n"));
  EXPECT_NE(client->read_until("data: 1").find("Transfer-Encoding: chunked"), std::string::npos);
  EXPECT_TRUE(out->write("data: 2\n\n"));
  client->read_until("data: 2");
  client.reset();
  EXPECT_TRUE(eventually([&] { return out->ended(); }));
  EXPECT_FALSE(out->write("data: 3\n\n"));
  EXPECT_TRUE(eventually([&] { return server_->counts().open == 0; }));
}

TEST_F(HttpServerTest, EndsAStreamProperly) {
  start();
  RawClient client(server_->port());
  client.send(get("/stream"));
  const auto out = stream();
  ASSERT_TRUE(out);
  out->write("bye");
  out->close();
  EXPECT_TRUE(client.read_all().ends_with("3\r\nbye\r\n0\r\n\r\n"));
  EXPECT_TRUE(client.closed());
}

TEST_F(HttpServerTest, DropsAReaderThatDoesNotKeepUpWithoutBlockingTheWriter) {
  HttpOptions options;
  options.max_stream = 256 << 10;
  options.write_timeout = 300ms;
  start(options);
  RawClient client(server_->port());
  client.send(get("/stream"));
  const auto out = stream();
  ASSERT_TRUE(out);
  const std::string part(64 << 10, 'x');
  const auto begin = std::chrono::steady_clock::now();
  int accepted = 0;
  while (accepted < 10'000 && out->write(part)) {
    ++accepted;
    EXPECT_LE(out->backlog(), options.max_stream);
  }
  EXPECT_LT(accepted, 10'000);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  EXPECT_TRUE(eventually([&] { return server_->counts().open == 0; }));
}

TEST_F(HttpServerTest, StopsWhileClientsAreConnected) {
  HttpOptions options;
  options.grace = 2s;
  start(options);
  RawClient idle(server_->port()), streaming(server_->port()), waiting(server_->port());
  streaming.send(get("/stream"));
  ASSERT_TRUE(stream());
  waiting.send(get("/later"));
  ASSERT_TRUE(eventually([&] { return later_ == 1; }));
  idle.send(get("/x"));
  idle.read_until("/x");
  const auto begin = std::chrono::steady_clock::now();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1500ms);
  EXPECT_NE(waiting.read_all().find("later"), std::string::npos);
  streaming.read_all();
  EXPECT_TRUE(streaming.closed());
  EXPECT_FALSE(RawClient(server_->port()).connected());
}

TEST_F(HttpServerTest, IgnoresAnswersAfterItsEnd) {
  HttpOptions options;
  options.grace = 50ms;
  start(options);
  RawClient client(server_->port()), streaming(server_->port());
  client.send(get("/hold"));
  streaming.send(get("/stream"));
  const auto out = stream();
  ASSERT_TRUE(out);
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex_);
    return held_.size() == 1;
  }));
  server_.reset();
  held_.front()->reply({200, {}, "late"});
  held_.front()->after(1ms, [] {});
  out->write("late");
  out->close();
}

TEST(HttpServerStart, SaysWhyItCannotListen) {
  const auto nothing = [](const std::shared_ptr<Exchange>&) {};
  const auto first = HttpServer::start({}, nothing);
  ASSERT_TRUE(first);
  HttpOptions same;
  same.port = (*first)->port();
  const auto second = HttpServer::start(same, nothing);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().what, "address in use: " + (*first)->endpoint());
  HttpOptions wrong;
  wrong.address = "localhost";
  EXPECT_FALSE(HttpServer::start(wrong, nothing));
  wrong.address = "203.0.113.1";
  EXPECT_FALSE(HttpServer::start(wrong, nothing));
}

}  // namespace
}  // namespace tessera::gateway
