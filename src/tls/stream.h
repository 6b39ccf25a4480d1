#pragma once

#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>

namespace tessera::tls {

/// A TCP stream that is encrypted if it was given a context: one type, so that what is read and
/// written over it is compiled once for both. Deadlines are those of next_layer(), which
/// beast::get_lowest_layer() finds; they hold for the encrypted stream too.
///
/// Threads: as tcp_stream. One read and one write may be under way at a time.
class Stream {
 public:
  using next_layer_type = boost::beast::tcp_stream;
  using executor_type = next_layer_type::executor_type;

  /// `context` null: not encrypted. Else it lives as long as the stream.
  Stream(next_layer_type tcp, std::shared_ptr<boost::asio::ssl::context> context)
      : context_(std::move(context)), tcp_(std::move(tcp)) {
    if (context_) tls_.emplace(tcp_, *context_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  executor_type get_executor() { return tcp_.get_executor(); }
  next_layer_type& next_layer() { return tcp_; }
  const next_layer_type& next_layer() const { return tcp_; }
  /// Absent where it is not encrypted.
  std::optional<boost::asio::ssl::stream<next_layer_type&>>& tls() { return tls_; }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto handler, const Buffers& to) {
          if (tls_)
            tls_->async_read_some(to, std::move(handler));
          else
            tcp_.async_read_some(to, std::move(handler));
        },
        token, buffers);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto handler, const Buffers& from) {
          if (tls_)
            tls_->async_write_some(from, std::move(handler));
          else
            tcp_.async_write_some(from, std::move(handler));
        },
        token, buffers);
  }

 private:
  std::shared_ptr<boost::asio::ssl::context> context_;
  next_layer_type tcp_;
  std::optional<boost::asio::ssl::stream<next_layer_type&>> tls_;
};

}  // namespace tessera::tls
