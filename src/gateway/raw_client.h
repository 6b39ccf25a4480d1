#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/// For tests: a TCP client that sends exactly the bytes it is told to, however wrong.
namespace tessera::gateway {

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawClient() { ::close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }

  /// False once the server no longer takes bytes.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void end_sending() { ::shutdown(fd_, SHUT_WR); }

  /// Reads until `text` was seen, the server closed, or `limit` passed; returns all seen so far.
  std::string read_until(std::string_view text,
                         std::chrono::milliseconds limit = std::chrono::seconds(5)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (text.empty() || seen_.find(text) == std::string::npos) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      pollfd ready{fd_, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) break;
      char bytes[16384];
      const auto size = ::recv(fd_, bytes, sizeof bytes, 0);
      if (size <= 0) {
        closed_ = true;
        reset_ = size < 0 && errno == ECONNRESET;
        break;
      }
      seen_.append(bytes, static_cast<std::size_t>(size));
    }
    return seen_;
  }
  /// Reads to the end of the connection.
  std::string read_all(std::chrono::milliseconds limit = std::chrono::seconds(5)) {
    return read_until({}, limit);
  }
  bool closed() const { return closed_; }
  bool reset() const { return reset_; }

 private:
  int fd_;
  bool connected_ = false;
  bool closed_ = false;
  bool reset_ = false;
  std::string seen_;
};

}  // namespace tessera::gateway
