#pragma once

#include <optional>
#include <string>

#include <openssl/ssl.h>

#include "base/time.h"

namespace tessera::tls {

/// Who the other end of a connection is, as its certificate says, whose private key it has.
struct Peer {
  std::string name;     ///< the certificate's common name: of an agent, its node
  std::string key;      ///< digest_of_key() of its public key
  base::Instant end{};  ///< of the certificate; a connection may outlive it
};

/// Of a connection whose handshake is over; none where no certificate was shown. One that was shown
/// has been verified, or there would be no connection.
std::optional<Peer> peer_of(SSL* ssl);

}  // namespace tessera::tls
