#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ssl/context.hpp>
#include <openssl/ssl.h>

#include "base/result.h"

/// Whom a client believes to be the server.
namespace tessera::tls {

/// Of several that are given, all must hold; none: the CAs of the operating system.
struct Trust {
  std::string ca;   ///< path of a file with the CA's certificate
  std::string pin;  ///< "sha256:HEX" of the CA's certificate, which the server sends along
  bool operator==(const Trust&) const = default;
};

/// What a client's connections share. Threads: any, once made.
class ClientContext {
 public:
  /// Errors: kInvalidDocument (a pin that is none, or not that of a certificate in the file),
  /// kUnavailable (a file without certificates).
  /// `identity`: path of a file as of tls/identity.h, whose certificate is shown; empty: none is.
  static base::Result<std::shared_ptr<ClientContext>> make(const Trust& trust,
                                                           const std::string& identity = {});

  boost::asio::ssl::context& context() { return context_; }
  /// Lets the handshake of `ssl` fail unless the server proves to be `host`, a name or address.
  static bool expect(SSL* ssl, const std::string& host);
  /// What is wrong with the certificate that `ssl` was shown, and what to do; none: nothing is.
  static std::optional<base::Error> complaint(const SSL* ssl);

 private:
  using Digest = std::array<unsigned char, 32>;
  ClientContext() : context_(boost::asio::ssl::context::tls_client) {}
  base::Result<void> show(const std::string& identity);
  static int check_pinned(X509_STORE_CTX* store, void* self);

  boost::asio::ssl::context context_;
  Digest pin_{};
};

}  // namespace tessera::tls
