#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "gateway/http.h"

namespace tessera::tls {
class Authority;
}

/// An HTTP/1.1 server that trusts nobody: every buffer, count and wait has a limit.
///
/// Threads: a small pool runs the connections and the handler; a handler must not block for long.
/// It may keep the Exchange and answer later from any thread, which costs no thread meanwhile.
///
/// Invariants
/// 1. A request gets exactly one answer, the answers of a connection in the order of its requests
///    (pipelining), even if the handler forgets: an Exchange dropped unanswered answers 500.
/// 2. A client that sends or reads too slowly, or too much, loses its connection and nobody else's.
/// 3. After stop() no handler or timer runs, and answers that come too late are dropped.
namespace tessera::gateway {

struct HttpOptions {
  std::string address = "127.0.0.1";    ///< numeric, v4 or v6
  std::uint16_t port = 0;               ///< 0: any that is free, see HttpServer::port()
  std::shared_ptr<tls::Authority> tls;  ///< null: plain HTTP
  int threads = 2;
  int max_connections = 1024;         ///< one more is answered 503, or with TLS closed unheard
  std::size_t max_header = 16 << 10;  ///< request line and header fields; above: 431
  std::size_t max_target = 8 << 10;   ///< above: 414
  std::size_t max_body = 1 << 20;     ///< above: 413
  std::size_t max_stream = 1 << 20;   ///< bytes waiting for one slow reader
  std::chrono::milliseconds handshake_timeout{10'000};  ///< of TLS, from the connection's start
  std::chrono::milliseconds header_timeout{10'000};     ///< from a request's first byte
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds write_timeout{20'000};   ///< of one answer, or one part of a stream
  std::chrono::milliseconds idle_timeout{75'000};    ///< between requests
  std::chrono::milliseconds answer_timeout{90'000};  ///< for the handler; above: 503
  std::chrono::milliseconds grace{3'000};            ///< stop(): for requests under way
};

/// The body of an answer that grows while it is sent. Thread-safe.
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;
  /// Queues a part. False when the stream has ended: closed, the client gone, or more than
  /// max_stream bytes waiting, in which case the stream ends after what was already queued.
  virtual bool write(std::string part) = 0;
  /// Bytes queued and not yet handed to the network.
  virtual std::size_t backlog() const = 0;
  virtual bool ended() const = 0;
  /// Sends what is queued, then ends the answer and the connection.
  virtual void close() = 0;
};

/// One request and the right to answer it. Thread-safe; hold it by shared_ptr.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const HttpRequest& request() const = 0;
  /// Answers. Only the first answer counts.
  virtual void reply(HttpResponse response) = 0;
  virtual bool answered() const = 0;
  /// Answers with `head` and a body that follows in parts. Null when answered already.
  virtual std::shared_ptr<ResponseStream> stream(HttpResponse head) = 0;
  /// Runs `task` on a thread of the server after `delay`, unless it stops before.
  virtual void after(std::chrono::milliseconds delay, std::function<void()> task) = 0;
};

using Handler = std::function<void(const std::shared_ptr<Exchange>&)>;

/// Counted since the start.
struct HttpCounts {
  std::uint64_t connections = 0;
  std::uint64_t open = 0;         ///< now
  std::uint64_t turned_away = 0;  ///< above max_connections
  std::uint64_t timed_out = 0;
  std::uint64_t malformed = 0;  ///< not HTTP, or above a limit
};

class HttpServer {
 public:
  /// Binds and starts serving. Errors: kInvalidDocument (not an address), kUnavailable (the address
  /// is in use, not ours, or needs rights).
  static base::Result<std::unique_ptr<HttpServer>> start(HttpOptions options, Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  /// "127.0.0.1:8080", "[::1]:8080"
  std::string endpoint() const;
  HttpCounts counts() const;

  /// Stops accepting, lets requests under way finish for `grace`, ends streams, joins the threads.
  /// Not from a handler. Idempotent.
  void stop();

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera::gateway
