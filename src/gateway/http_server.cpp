#include "gateway/http_server.h"

#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include "gateway/http_connection.h"

namespace tessera::gateway {

using base::fail;
using base::Reason;
using detail::Connection;
using detail::Core;
namespace net = boost::asio;
using net::ip::tcp;

namespace {

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" +
         std::to_string(endpoint.port());
}

/// For one client too many: short enough to fit an empty socket buffer, so it never blocks.
const std::string& turned_away() {
  static const std::string text = [] {
    auto answer = problem({Reason::kUnavailable, "too many connections", {}, "try again"});
    answer.headers.add("Retry-After", "5");
    return detail::last_words(answer, "Service Unavailable");
  }();
  return text;
}

}  // namespace

struct HttpServer::Impl {
  Impl(HttpOptions options, Handler handler)
      : core(std::make_unique<Core>(std::move(options), std::move(handler))),
        acceptor(core->io),
        pause(core->io) {}

  base::Result<void> listen();
  void accept();
  void admit(tcp::socket socket);
  void stop();

  std::unique_ptr<Core> core;
  tcp::acceptor acceptor;
  net::steady_timer pause;  ///< before accepting again after an error
  tcp::endpoint local;
  std::vector<std::thread> threads;
};

base::Result<void> HttpServer::Impl::listen() {
  boost::system::error_code error;
  const auto address = net::ip::make_address(core->options.address, error);
  if (error)
    return fail(Reason::kInvalidDocument,
                "\"" + core->options.address + "\" is not a numeric IP address", "listen",
                "write it as 127.0.0.1:8080 or [::1]:8080");
  const tcp::endpoint wanted(address, core->options.port);
  acceptor.open(wanted.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(wanted, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (!error) local = acceptor.local_endpoint(error);
  if (error == net::error::address_in_use)
    return fail(Reason::kUnavailable, "address in use: " + text_of(wanted), "listen",
                "stop what listens there or choose another port (0: any)");
  if (error == net::error::access_denied)
    return fail(Reason::kUnavailable, "no right to listen on " + text_of(wanted), "listen",
                "choose a port above 1023");
  if (error)
    return fail(Reason::kUnavailable,
                "cannot listen on " + text_of(wanted) + ": " + error.message(), "listen",
                "choose an address of this machine");
  return {};
}

void HttpServer::Impl::accept() {
  acceptor.async_accept(net::make_strand(core->io),
                        [this](boost::system::error_code error, tcp::socket socket) {
                          if (core->stopping || error == net::error::operation_aborted) return;
                          if (!error) {
                            admit(std::move(socket));
                            accept();
                            return;
                          }
                          // Out of descriptors or memory: they come back as connections end.
                          pause.expires_after(std::chrono::milliseconds(100));
                          pause.async_wait([this](boost::system::error_code cancelled) {
                            if (!cancelled) accept();
                          });
                        });
}

void HttpServer::Impl::admit(tcp::socket socket) {
  std::unique_lock lock(core->mutex);
  if (core->open.size() >= static_cast<std::size_t>(core->options.max_connections)) {
    lock.unlock();
    ++core->turned_away;
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    if (!core->options.tls) socket.write_some(net::buffer(turned_away()), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
    return;
  }
  ++core->connections;
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  auto connection = std::make_shared<Connection>(std::move(socket), *core);
  core->open.emplace(connection.get(), connection);
  lock.unlock();
  connection->start();
}

void HttpServer::Impl::stop() {
  if (core->stopping.exchange(true)) return;
  net::post(core->io, [this] {
    boost::system::error_code ignored;
    acceptor.close(ignored);
    pause.cancel();
  });
  {
    std::vector<std::shared_ptr<Connection>> open;
    std::unique_lock lock(core->mutex);
    for (const auto& [key, weak] : core->open)
      if (auto connection = weak.lock()) open.push_back(std::move(connection));
    lock.unlock();
    for (const auto& connection : open) connection->shut_down();
    open.clear();
    lock.lock();
    core->closed.wait_for(lock, core->options.grace, [this] { return core->open.empty(); });
  }
  core->io.stop();
  for (auto& thread : threads) thread.join();
  const std::unique_lock lock(core->lifeline->mutex);
  core->lifeline->alive = false;
}

base::Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpOptions options, Handler handler) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler));
  if (auto listening = impl->listen(); !listening) return std::unexpected(listening.error());
  impl->accept();
  for (int i = 0; i < impl->core->options.threads; ++i)
    impl->threads.emplace_back([core = impl->core.get()] { core->io.run(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  stop();
}

std::uint16_t HttpServer::port() const {
  return impl_->local.port();
}

std::string HttpServer::endpoint() const {
  return text_of(impl_->local);
}

HttpCounts HttpServer::counts() const {
  Core& core = *impl_->core;
  const std::lock_guard lock(core.mutex);
  return {core.connections, core.open.size(), core.turned_away, core.timed_out, core.malformed};
}

void HttpServer::stop() {
  impl_->stop();
}

}  // namespace tessera::gateway
