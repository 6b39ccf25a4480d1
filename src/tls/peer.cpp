#include "tls/peer.h"

#include "tls/certificate.h"

namespace tessera::tls {

std::optional<Peer> peer_of(SSL* ssl) {
  const CertificatePtr shown(SSL_get1_peer_certificate(ssl));
  if (!shown) return std::nullopt;
  EVP_PKEY* key = X509_get0_pubkey(shown.get());
  if (key == nullptr) return std::nullopt;
  return Peer{name_of(*shown), digest_of_key(*key), end_of(*shown)};
}

}  // namespace tessera::tls
