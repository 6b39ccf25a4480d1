#include "gateway/http_connection.h"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include "tls/authority.h"

namespace tessera::gateway::detail {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using namespace std::chrono_literals;
using base::Reason;

constexpr auto kAwait = net::as_tuple(net::use_awaitable);

/// What a client may still send after it was refused, before the connection is cut: closing a
/// socket with unread bytes resets it, and the client would never see why.
constexpr std::size_t kMostDrained = 32 << 20;
constexpr auto kLongestDrain = 2s;
/// Bytes a client may send into a stream that it only has to read.
constexpr std::size_t kMostChatter = 64 << 10;

/// Calls `use` with the connection, if it and its server are still there.
template <class Use>
void with_connection(const std::weak_ptr<Connection>& weak, Lifeline& lifeline, Use use) {
  const std::shared_lock lock(lifeline.mutex);
  if (!lifeline.alive) return;
  if (const auto connection = weak.lock()) use(*connection);
}

/// The right to answer one request of one connection.
class ServedExchange final : public Exchange {
 public:
  ServedExchange(const std::shared_ptr<Connection>& connection, std::uint64_t serial,
                 HttpRequest request)
      : connection_(connection),
        lifeline_(connection->core().lifeline),
        serial_(serial),
        request_(std::move(request)) {}

  ~ServedExchange() override {
    if (!answered())
      reply(problem({Reason::kInternal, "the request was dropped without an answer", {}, {}}));
  }

  const HttpRequest& request() const override { return request_; }
  bool answered() const override { return answered_; }
  void reply(HttpResponse response) override { answer(std::move(response)); }

  std::shared_ptr<ResponseStream> stream(HttpResponse head) override {
    std::shared_ptr<Pipe> pipe;
    with_connection(connection_, *lifeline_, [&](Connection& connection) {
      const auto wake = [to = connection_, lifeline = lifeline_] {
        with_connection(to, *lifeline, [](Connection& there) { there.wake(); });
      };
      pipe = std::make_shared<Pipe>(connection.core().options.max_stream, wake);
    });
    if (!pipe || !answer(Connection::StreamedAnswer{std::move(head), pipe})) return nullptr;
    return pipe;
  }

  void after(std::chrono::milliseconds delay, std::function<void()> task) override {
    with_connection(connection_, *lifeline_, [&](Connection& connection) {
      auto timer = std::make_shared<net::steady_timer>(connection.core().io, delay);
      timer->async_wait([timer, task = std::move(task)](beast::error_code error) {
        if (!error) task();
      });
    });
  }

 private:
  bool answer(Connection::Answer answer) {
    if (answered_.exchange(true)) return false;
    with_connection(connection_, *lifeline_, [&](Connection& connection) {
      connection.deliver(serial_, std::move(answer));
    });
    return true;
  }
  const std::weak_ptr<Connection> connection_;
  const std::shared_ptr<Lifeline> lifeline_;
  const std::uint64_t serial_;
  const HttpRequest request_;
  std::atomic<bool> answered_ = false;
};

template <class Message>
void set_fields(Message& message, const Headers& headers) {
  message.set(http::field::server, "tessera");
  // Line breaks would let a value start a field of its own.
  for (const auto& [name, value] : headers)
    if (value.find_first_of("\r\n") == std::string::npos) message.insert(name, value);
}

// Refusals are made in plain functions: g++ 12 destroys braced temporaries of a co_await or
// co_return expression twice.

HttpResponse refusal(int status, std::string what, std::string todo) {
  const Reason reason = status == 400   ? Reason::kInvalidDocument
                        : status == 503 ? Reason::kUnavailable
                                        : Reason::kTooLarge;
  return problem({reason, std::move(what), {}, std::move(todo)}, status);
}

/// What to tell a client whose request could not be read; absent when nobody is left to be told.
std::optional<HttpResponse> refusal_of(beast::error_code error, const HttpOptions& options) {
  if (error == http::error::body_limit)
    return refusal(413, "the body is too large",
                   "keep it below " + std::to_string(options.max_body) + " bytes, or send several");
  const auto& http_errors = http::make_error_code(http::error::bad_method).category();
  if (error == http::error::end_of_stream || error == http::error::partial_message ||
      error.category() != http_errors)
    return std::nullopt;
  return refusal(400, "this is not HTTP: " + error.message(), "send HTTP/1.1");
}

/// The same for a header that does not end within the limit.
HttpResponse refusal_of(std::string_view begun, const HttpOptions& options) {
  const std::string todo = "keep it below " + std::to_string(options.max_header) + " bytes";
  if (begun.find("\r\n") >= options.max_header)
    return refusal(414, "the address is too long", todo);
  return refusal(431, "the header is too large", todo);
}

/// The same for a header that could be read but is not acceptable.
template <class Header>
std::optional<HttpResponse> refusal_of(const Header& header, const HttpOptions& options) {
  if (header.target().size() > options.max_target)
    return refusal(414, "the address is too long",
                   "keep it below " + std::to_string(options.max_target) + " bytes");
  if (header.version() >= 11 && header.count(http::field::host) != 1)
    return refusal(400, "the request has no Host field, or several", "send exactly one");
  return std::nullopt;
}

/// How a client begins that expects TLS.
constexpr std::string_view kTlsRecord = "\x16\x03";

HttpResponse tls_refused() {
  return refusal(400, "this is TLS, and here plain HTTP is spoken",
                 "write http://, or start the control plane with --tls");
}

bool is_plain_http(beast::error_code error) {
  return error.category() == net::error::get_ssl_category() &&
         ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST;
}

const std::string& plain_http_refused() {
  static const std::string text = last_words(
      refusal(400, "this is plain HTTP, and here TLS is spoken", "write https://"), "Bad Request");
  return text;
}

HttpResponse late_answer() {
  return refusal(503, "the answer took too long", "try again");
}

template <class Message>
HttpRequest request_of(Message message, std::string peer) {
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message)
    request.headers.add(std::string(field.name_string()), std::string(field.value()));
  request.body = std::move(message.body());
  request.peer = std::move(peer);
  return request;
}

}  // namespace

std::string last_words(const HttpResponse& response, std::string_view title) {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " " + std::string(title);
  for (const auto& [name, value] : response.headers) text += "\r\n" + name + ": " + value;
  return text + "\r\nContent-Length: " + std::to_string(response.body.size()) +
         "\r\nConnection: close\r\n\r\n" + response.body;
}

Connection::Connection(net::ip::tcp::socket socket, Core& core)
    : core_(core),
      stream_(tls::Stream::next_layer_type(std::move(socket)),
              core.options.tls ? core.options.tls->server_context() : nullptr),
      buffer_(core.options.max_header + (64 << 10)),
      alarm_(stream_.get_executor()) {
  beast::error_code error;
  const auto peer = beast::get_lowest_layer(stream_).socket().remote_endpoint(error);
  if (!error) peer_ = peer.address().to_string();
}

Connection::~Connection() {
  const std::lock_guard lock(core_.mutex);
  core_.open.erase(this);
  core_.closed.notify_all();
}

void Connection::start() {
  net::co_spawn(
      stream_.get_executor(), [self = shared_from_this()] { return self->run(); },
      [](std::exception_ptr failure) {
        // A broken promise of ours (CHECK): the process stops and replays its journal.
        if (failure) std::rethrow_exception(failure);
      });
}

void Connection::shut_down() {
  net::dispatch(stream_.get_executor(), [self = shared_from_this()] {
    self->keep_alive_ = false;
    self->departed_ = true;
    self->alarm_.cancel();
    if (self->idle_) beast::get_lowest_layer(self->stream_).cancel();
  });
}

void Connection::deliver(std::uint64_t serial, Answer answer) {
  net::dispatch(stream_.get_executor(),
                [self = shared_from_this(), serial, answer = std::move(answer)]() mutable {
                  if (serial != self->serial_ || self->answer_) return;  // given up in the meantime
                  self->answer_ = std::move(answer);
                  self->alarm_.cancel();
                });
}

void Connection::wake() {
  net::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->alarm_.cancel(); });
}

net::awaitable<void> Connection::run() {
  if (!co_await shake_hands()) co_return;
  while (keep_alive_ && !core_.stopping && co_await wait_for_first_byte()) {
    auto request = co_await read_request();
    if (!request) break;
    Answer answer = co_await answer_to(std::move(*request));
    if (auto* streamed = std::get_if<StreamedAnswer>(&answer)) {
      co_await send_stream(std::move(*streamed));
      break;
    }
    if (!co_await send(std::move(std::get<HttpResponse>(answer)))) break;
  }
  co_await linger();
}

net::awaitable<bool> Connection::shake_hands() {
  if (!stream_.tls()) co_return true;
  beast::get_lowest_layer(stream_).expires_after(core_.options.handshake_timeout);
  idle_ = true;
  auto [error] = co_await stream_.tls()->async_handshake(net::ssl::stream_base::server, kAwait);
  idle_ = false;
  if (error == beast::error::timeout)
    ++core_.timed_out;
  else if (error)
    ++core_.malformed;
  // Nothing was agreed on, so others than those who speak plain HTTP cannot be told why.
  if (is_plain_http(error)) {
    auto& lowest = beast::get_lowest_layer(stream_);
    lowest.expires_after(kLongestDrain);
    std::tie(error, std::ignore) =
        co_await net::async_write(lowest, net::buffer(plain_http_refused()), kAwait);
    lowest.socket().shutdown(net::ip::tcp::socket::shutdown_send, error);
    co_await drain();
    co_return false;
  }
  if (!error) certificate_ = tls::peer_of(stream_.tls()->native_handle());
  co_return !error;
}

net::awaitable<bool> Connection::wait_for_first_byte() {
  if (buffer_.size() > 0) co_return true;  // the next request was pipelined
  beast::get_lowest_layer(stream_).expires_after(core_.options.idle_timeout);
  idle_ = true;
  auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(4 << 10), kAwait);
  idle_ = false;
  if (error == beast::error::timeout) ++core_.timed_out;
  if (error) co_return false;
  buffer_.commit(size);
  co_return true;
}

net::awaitable<bool> Connection::wait_for_header() {
  // Beast counts its limit from the last complete line, so the whole is measured here.
  beast::get_lowest_layer(stream_).expires_after(core_.options.header_timeout);
  for (std::size_t searched = 0;;) {
    const auto bytes = static_cast<const char*>(buffer_.data().data());
    const std::string_view begun(bytes, std::min(buffer_.size(), core_.options.max_header));
    if (begun.find("\r\n\r\n", searched) != std::string_view::npos) co_return true;
    if (begun.starts_with(kTlsRecord)) {
      co_await refuse(tls_refused());
      co_return false;
    }
    if (begun.size() == core_.options.max_header) {
      co_await refuse(refusal_of(begun, core_.options));
      co_return false;
    }
    searched = begun.size() < 3 ? 0 : begun.size() - 3;
    auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(4 << 10), kAwait);
    if (error == beast::error::timeout) ++core_.timed_out;  // the stream has closed the socket
    if (error) co_return false;
    buffer_.commit(size);
  }
}

net::awaitable<std::optional<HttpRequest>> Connection::read_request() {
  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(core_.options.max_header));
  parser.body_limit(core_.options.max_body);
  head_only_ = false;
  if (!co_await wait_for_header()) co_return std::nullopt;

  auto [error, size] = co_await http::async_read_header(stream_, buffer_, parser, kAwait);
  auto refused = error ? refusal_of(error, core_.options) : refusal_of(parser.get(), core_.options);
  if (!error && !refused) {
    beast::get_lowest_layer(stream_).expires_after(core_.options.body_timeout);
    if (beast::iequals(parser.get()[http::field::expect], "100-continue") && !parser.is_done()) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      std::tie(error, size) = co_await net::async_write(stream_, net::buffer(kContinue), kAwait);
    }
    if (!error) std::tie(error, size) = co_await http::async_read(stream_, buffer_, parser, kAwait);
    if (error) refused = refusal_of(error, core_.options);
  }
  if (error == beast::error::timeout) ++core_.timed_out;
  if (refused) co_await refuse(std::move(*refused));
  if (error || refused) co_return std::nullopt;

  keep_alive_ = keep_alive_ && parser.get().keep_alive();
  http_1_0_ = parser.get().version() < 11;
  head_only_ = parser.get().method() == http::verb::head;
  auto request_read = request_of(parser.release(), peer_);
  request_read.certificate = certificate_;
  co_return request_read;
}

net::awaitable<bool> Connection::refuse(HttpResponse response) {
  ++core_.malformed;
  keep_alive_ = false;
  return send(std::move(response));
}

net::awaitable<Connection::Answer> Connection::answer_to(HttpRequest request) {
  answer_.reset();
  ++serial_;
  core_.handler(std::make_shared<ServedExchange>(shared_from_this(), serial_, std::move(request)));
  const auto deadline = std::chrono::steady_clock::now() + core_.options.answer_timeout;
  while (!answer_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left <= 0ms) {
      ++core_.timed_out;
      ++serial_;  // an answer that still comes belongs to no request
      co_return late_answer();
    }
    co_await sleep_until_woken(left);
  }
  co_return std::move(*answer_);
}

net::awaitable<bool> Connection::send(HttpResponse response) {
  if (core_.stopping) keep_alive_ = false;
  http::response<http::string_body> message(static_cast<http::status>(response.status),
                                            http_1_0_ ? 10 : 11);
  set_fields(message, response.headers);
  const bool bodiless = response.status == 204 || response.status == 304;
  if (!bodiless) message.content_length(response.body.size());
  if (!bodiless && !head_only_) message.body() = std::move(response.body);
  message.keep_alive(keep_alive_);
  beast::get_lowest_layer(stream_).expires_after(core_.options.write_timeout);
  auto [error, size] = co_await http::async_write(stream_, message, kAwait);
  if (error == beast::error::timeout) ++core_.timed_out;
  co_return !error && keep_alive_;
}

net::awaitable<void> Connection::send_stream(StreamedAnswer answer) {
  keep_alive_ = false;
  http::response<http::empty_body> head(static_cast<http::status>(answer.head.status),
                                        http_1_0_ ? 10 : 11);
  set_fields(head, answer.head.headers);
  head.keep_alive(false);
  if (!http_1_0_) head.chunked(true);
  http::response_serializer<http::empty_body> serializer(head);
  beast::get_lowest_layer(stream_).expires_after(core_.options.write_timeout);
  auto [error, size] = co_await http::async_write_header(stream_, serializer, kAwait);
  beast::get_lowest_layer(stream_).expires_never();
  watched_ = true;
  net::co_spawn(
      stream_.get_executor(), [self = shared_from_this()] { return self->watch_departure(); },
      [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
      });

  while (!error && !departed_ && !head_only_) {
    auto part = answer.pipe->take();
    if (!part) break;
    if (part->empty()) {
      co_await sleep_until_woken(std::nullopt);
      continue;
    }
    // The departure watch has a read under way, so this deadline is the write's alone.
    beast::get_lowest_layer(stream_).expires_after(core_.options.write_timeout);
    if (http_1_0_)
      std::tie(error, size) = co_await net::async_write(stream_, net::buffer(*part), kAwait);
    else
      std::tie(error, size) =
          co_await net::async_write(stream_, http::make_chunk(net::buffer(*part)), kAwait);
  }
  answer.pipe->abandon();
  if (error == beast::error::timeout) ++core_.timed_out;
  if (!error && !http_1_0_ && !head_only_) {
    beast::get_lowest_layer(stream_).expires_after(core_.options.write_timeout);
    std::tie(error, size) = co_await net::async_write(stream_, http::make_chunk_last(), kAwait);
  }
}

net::awaitable<void> Connection::watch_departure() {
  std::array<char, 1024> chatter{};
  for (std::size_t total = 0; total < kMostChatter;) {
    auto [error, size] = co_await stream_.async_read_some(net::buffer(chatter), kAwait);
    if (error) break;
    total += size;
  }
  departed_ = true;
  alarm_.cancel();
}

net::awaitable<void> Connection::linger() {
  auto& lowest = beast::get_lowest_layer(stream_);
  beast::error_code ignored;
  if (stream_.tls() && !watched_) {
    // Says that nothing is missing, and waits a little to hear the same.
    lowest.expires_after(kLongestDrain);
    co_await stream_.tls()->async_shutdown(kAwait);
  }
  lowest.socket().shutdown(net::ip::tcp::socket::shutdown_send, ignored);
  if (watched_ && !departed_) {
    co_await sleep_until_woken(kLongestDrain);  // the watch reads what still comes
  } else if (!departed_ && !core_.stopping) {
    co_await drain();
  }
  lowest.close();
}

net::awaitable<void> Connection::drain() {
  auto& lowest = beast::get_lowest_layer(stream_);
  lowest.expires_after(kLongestDrain);
  std::array<char, 16 << 10> rest{};
  for (std::size_t total = 0; total < kMostDrained;) {
    auto [error, size] = co_await lowest.async_read_some(net::buffer(rest), kAwait);
    if (error) break;
    total += size;
  }
}

net::awaitable<void> Connection::sleep_until_woken(std::optional<std::chrono::milliseconds> limit) {
  if (limit)
    alarm_.expires_after(*limit);
  else
    alarm_.expires_at(net::steady_timer::time_point::max());
  co_await alarm_.async_wait(kAwait);
}

}  // namespace tessera::gateway::detail
