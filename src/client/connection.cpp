#include "client/connection.h"

#include <optional>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <sys/stat.h>

#include "tls/stream.h"
#include "wire/problem.h"

namespace tessera::client {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using base::fail;
using base::Reason;

namespace {

constexpr std::size_t kLargestAnswer = 256 << 20;

http::request<http::string_body> request_of(const Call& call, const Context& context) {
  http::request<http::string_body> request;
  request.method_string(call.method);
  request.target(call.target);
  request.version(11);
  request.set(http::field::host, context.server.host);
  request.set(http::field::user_agent, "tessera");
  if (!context.token.empty()) request.set(http::field::authorization, "Bearer " + context.token);
  if (!call.body.empty()) request.set(http::field::content_type, "application/json");
  for (const auto& [name, value] : call.headers) request.set(name, value);
  request.body() = call.body;
  request.prepare_payload();
  return request;
}

std::unexpected<base::Error> unreachable(const Server& server, const std::string& why) {
  return fail(Reason::kUnavailable, "the control plane does not answer: " + why, server.url(),
              "check that it runs and that the context names it");
}

/// Why no encrypted connection came about.
std::unexpected<base::Error> distrusted(const Server& server, const SSL* ssl,
                                        beast::error_code error) {
  if (auto complaint = tls::ClientContext::complaint(ssl)) {
    complaint->where = server.url();
    return std::unexpected(std::move(*complaint));
  }
  const auto reason = ERR_GET_REASON(static_cast<unsigned long>(error.value()));
  if (error.category() == asio::error::get_ssl_category() && reason == SSL_R_WRONG_VERSION_NUMBER)
    return fail(Reason::kUnavailable, "it does not speak TLS there", server.url(),
                "write http:// into the context, or start the control plane with --tls");
  return unreachable(server, error.message());
}

}  // namespace

/// The socket and its loop. Each operation is started asynchronously and the loop run until it is
/// over, because only asynchronous operations of a tcp_stream know time limits, those of an
/// encrypted one too.
struct Connection::Impl {
  /// Tells one version of a file from another that was renamed into its place.
  struct FileMark {
    ino_t number = 0;
    std::int64_t changed = 0;
    bool operator==(const FileMark&) const = default;
  };
  static FileMark mark_of(const std::string& path) {
    struct stat status {};
    if (path.empty() || ::stat(path.c_str(), &status) != 0) return {};
    return {status.st_ino, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
  }

  asio::io_context loop;
  std::optional<tls::Stream> stream;
  std::shared_ptr<tls::ClientContext> trust;  ///< made when https is first spoken, anew if stale
  FileMark identity;                          ///< what `trust` was made with
  beast::flat_buffer buffer;

  /// Runs what was started; the stream's own timer ends it in time.
  void run() {
    loop.restart();
    loop.run();
  }

  void expires_after(base::Duration limit) { stream->next_layer().expires_after(limit); }

  /// Whether our certificate was renewed since it was last shown.
  bool stale(const Context& context) const {
    return !context.identity.empty() && mark_of(context.identity) != identity;
  }

  base::Result<void> open(const Context& context, base::Duration limit) {
    if (context.server.secure && (!trust || stale(context))) {
      const auto mark = mark_of(context.identity);
      auto made = tls::ClientContext::make(context.trust, context.identity);
      if (!made) return std::unexpected(made.error());
      trust = std::move(*made);
      identity = mark;
    }
    const auto error = connect(context.server, limit);
    if (!error) return {};
    const auto why = stream && stream->tls()
                         ? distrusted(context.server, stream->tls()->native_handle(), error)
                         : unreachable(context.server, error.message());
    stream.reset();
    return why;
  }

  beast::error_code connect(const Server& server, base::Duration limit) {
    buffer.clear();
    // Keeps the trust alive with the context that is its member.
    stream.emplace(
        beast::tcp_stream(loop),
        server.secure ? std::shared_ptr<asio::ssl::context>(trust, &trust->context()) : nullptr);
    beast::error_code result;
    asio::ip::tcp::resolver resolver(loop);
    const auto found = resolver.resolve(server.host, std::to_string(server.port), result);
    if (result) return result;
    expires_after(limit);
    stream->next_layer().async_connect(
        found, [&](beast::error_code error, const auto&) { result = error; });
    run();
    if (result || !stream->tls()) return result;
    if (!tls::ClientContext::expect(stream->tls()->native_handle(), server.host))
      return asio::error::invalid_argument;
    stream->tls()->async_handshake(asio::ssl::stream_base::client,
                                   [&](beast::error_code error) { result = error; });
    run();
    return result;
  }

  beast::error_code write(const http::request<http::string_body>& request) {
    beast::error_code result;
    http::async_write(*stream, request,
                      [&](beast::error_code error, std::size_t) { result = error; });
    run();
    return result;
  }

  template <class Parser>
  beast::error_code read(Parser& parser) {
    beast::error_code result;
    http::async_read(*stream, buffer, parser,
                     [&](beast::error_code error, std::size_t) { result = error; });
    run();
    return result;
  }

  template <class Parser>
  beast::error_code read_header(Parser& parser) {
    beast::error_code result;
    http::async_read_header(*stream, buffer, parser,
                            [&](beast::error_code error, std::size_t) { result = error; });
    run();
    return result;
  }

  template <class Parser>
  beast::error_code read_some(Parser& parser) {
    beast::error_code result;
    http::async_read_some(*stream, buffer, parser,
                          [&](beast::error_code error, std::size_t) { result = error; });
    run();
    return result;
  }

  /// One exchange on the open stream.
  base::Result<Answer> exchange(const http::request<http::string_body>& request,
                                base::Duration limit, beast::error_code& error) {
    expires_after(limit);
    http::response_parser<http::string_body> parser;
    parser.body_limit(kLargestAnswer);
    error = write(request);
    if (!error) error = read(parser);
    if (error) {
      stream.reset();
      return fail(Reason::kUnavailable, error.message());
    }
    Answer answer{static_cast<int>(parser.get().result_int()),
                  std::string(parser.get()[http::field::etag]), std::move(parser.get().body())};
    if (!parser.get().keep_alive()) stream.reset();
    return answer;
  }
};

namespace {

bool refused(const Answer& answer) {
  return answer.status >= 400;
}

}  // namespace

Connection::Connection(Context context)
    : context_(std::move(context)), impl_(std::make_unique<Impl>()) {}
Connection::~Connection() = default;

base::Result<Answer> Connection::send(const Call& call) {
  const auto request = request_of(call, context_);
  if (impl_->stale(context_)) impl_->stream.reset();  // between two exchanges nothing is lost
  const bool reused = impl_->stream.has_value();
  beast::error_code error;
  if (reused) {
    auto answer = impl_->exchange(request, call.limit, error);
    // The server may have closed an idle connection; anything else is the caller's to know.
    const bool stale =
        error == http::error::end_of_stream || error == asio::error::connection_reset ||
        error == asio::error::broken_pipe || error == asio::ssl::error::stream_truncated;
    if (answer || !stale) return answer ? answer : unreachable(context_.server, error.message());
  }
  if (auto opened = impl_->open(context_, call.limit); !opened)
    return std::unexpected(opened.error());
  auto answer = impl_->exchange(request, call.limit, error);
  if (!answer) return unreachable(context_.server, error.message());
  return answer;
}

base::Result<Answer> Connection::ask(const Call& call) {
  auto answer = send(call);
  if (answer && refused(*answer))
    return std::unexpected(wire::error_from(answer->status, answer->body));
  return answer;
}

namespace {

/// Cuts "event: …\nid: …\ndata: …\n\n" blocks out of a growing text.
class EventCutter {
 public:
  void add(std::string_view part) { text_ += part; }

  std::optional<Connection::Event> next() {
    const auto end = text_.find("\n\n");
    if (end == std::string::npos) return std::nullopt;
    Connection::Event event;
    std::string_view block = std::string_view(text_).substr(0, end);
    while (!block.empty()) {
      const auto line = block.substr(0, block.find('\n'));
      read_line(line, event);
      block.remove_prefix(std::min(block.size(), line.size() + 1));
    }
    text_.erase(0, end + 2);
    return event;
  }

 private:
  static void read_line(std::string_view line, Connection::Event& event) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    auto value = line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    const auto name = line.substr(0, colon);
    if (name == "event") event.type = value;
    if (name == "id") event.id = value;
    if (name == "data") event.data += value;
  }

  std::string text_;
};

}  // namespace

base::Result<void> Connection::follow(const std::string& target, base::Duration silence,
                                      const std::function<bool(const Event&)>& on_event) {
  if (auto opened = impl_->open(context_, silence); !opened) return std::unexpected(opened.error());
  Call call{.target = target, .limit = silence};
  call.headers.emplace_back("Accept", "text/event-stream");
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  impl_->expires_after(silence);
  auto error = impl_->write(request_of(call, context_));
  if (!error) error = impl_->read_header(parser);
  if (!error && parser.get().result_int() >= 400) {
    error = impl_->read(parser);
    impl_->stream.reset();
    return std::unexpected(
        wire::error_from(static_cast<int>(parser.get().result_int()), parser.get().body()));
  }
  EventCutter cutter;
  while (!error && !parser.is_done()) {
    impl_->expires_after(silence);
    error = impl_->read_some(parser);
    cutter.add(parser.get().body());
    parser.get().body().clear();
    while (const auto event = cutter.next()) {
      if (on_event(*event)) continue;
      impl_->stream.reset();
      return {};
    }
  }
  impl_->stream.reset();
  if (error && error != http::error::end_of_stream)
    return unreachable(context_.server, error.message());
  return {};
}

std::string encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace tessera::client
