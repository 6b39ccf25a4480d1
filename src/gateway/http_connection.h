#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <variant>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "gateway/http_server.h"
#include "gateway/pipe.h"
#include "tls/stream.h"

/// Inside the server: one TCP connection. Included by http_server.cpp and http_connection.cpp only.
namespace tessera::gateway::detail {

namespace net = boost::asio;

/// Whether the server still runs. Who comes from another thread holds it shared for as long as it
/// touches a connection, so that none outlives the io_context.
struct Lifeline {
  std::shared_mutex mutex;
  bool alive = true;
};

/// An answer outside any connection's order, as text; the last on its connection.
std::string last_words(const HttpResponse& response, std::string_view title);

class Connection;

/// What all connections of one server share. Thread-safe.
struct Core {
  Core(HttpOptions options_, Handler handler_)
      : options(std::move(options_)), handler(std::move(handler_)) {}

  const HttpOptions options;
  const Handler handler;
  const std::shared_ptr<Lifeline> lifeline = std::make_shared<Lifeline>();
  std::atomic<bool> stopping = false;
  std::atomic<std::uint64_t> connections = 0, turned_away = 0, timed_out = 0, malformed = 0;

  std::mutex mutex;  ///< guards `open`
  std::condition_variable closed;
  std::map<const Connection*, std::weak_ptr<Connection>> open;

  net::io_context io;  ///< last: its end destroys the connections, which use the members above
};

/// One connection, run by one coroutine on its strand (a second one watches for the client's
/// departure during a stream).
///
///   idle --first byte--> reading --whole--> answering --sent--> idle
///     |                     |  malformed        |  stream, HTTP/1.0 or stopping
///     +------> closed <-----+------ lingering <-+
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(net::ip::tcp::socket socket, Core& core);
  ~Connection();

  void start();
  /// Ends the connection once the request under way, if any, is answered. Any thread.
  void shut_down();

  struct StreamedAnswer {
    HttpResponse head;
    std::shared_ptr<Pipe> pipe;
  };
  using Answer = std::variant<HttpResponse, StreamedAnswer>;
  /// Hands over the answer to request number `serial`. Any thread.
  void deliver(std::uint64_t serial, Answer answer);
  /// The stream has something to send or has ended. Any thread.
  void wake();
  Core& core() { return core_; }

 private:
  net::awaitable<void> run();
  /// At once where the connection is not encrypted. False: the client does not speak TLS, or not
  /// in time.
  net::awaitable<bool> shake_hands();
  net::awaitable<bool> wait_for_first_byte();
  /// Until a whole header is in the buffer. False: as below.
  net::awaitable<bool> wait_for_header();
  net::awaitable<bool> refuse(HttpResponse response);
  /// Absent: the connection is to be closed; the client was told why where that is possible.
  net::awaitable<std::optional<HttpRequest>> read_request();
  net::awaitable<Answer> answer_to(HttpRequest request);
  net::awaitable<bool> send(HttpResponse response);
  net::awaitable<void> send_stream(StreamedAnswer answer);
  net::awaitable<void> watch_departure();
  net::awaitable<void> linger();
  /// Reads what still comes, so that what was sent arrives.
  net::awaitable<void> drain();
  net::awaitable<void> sleep_until_woken(std::optional<std::chrono::milliseconds> limit);

  Core& core_;
  tls::Stream stream_;  ///< the deadlines are those of its lowest layer
  std::string peer_;
  std::optional<tls::Peer> certificate_;
  boost::beast::flat_buffer buffer_;
  net::steady_timer alarm_;  ///< cancelled to wake the coroutine
  std::uint64_t serial_ = 0;
  std::optional<Answer> answer_;
  bool idle_ = false;
  bool keep_alive_ = true;
  bool head_only_ = false;
  bool http_1_0_ = false;
  bool watched_ = false;   ///< a stream has begun: watch_departure() does the reading
  bool departed_ = false;  ///< the client has left, or is to be left
};

}  // namespace tessera::gateway::detail
