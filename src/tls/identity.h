#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "tls/certificate.h"

/// What an agent proves with who it is: a private key and its certificate, in one file (PEM) that
/// its owner alone may read. The file is replaced in one step when the certificate is renewed, and
/// whoever opens a connection reads it anew.
namespace tessera::tls {

struct Identity {
  KeyPtr key;
  CertificatePtr certificate;

  std::string node() const { return name_of(*certificate); }
  /// When two thirds of its time are over.
  base::Instant renew_at() const;
};

/// Errors: kUnavailable (no file, or not key and certificate that belong together).
base::Result<Identity> read_identity(const std::string& path);
/// Errors: kInvalidDocument (`certificate`, PEM, is none of this key), kUnavailable.
base::Result<void> write_identity(const std::string& path, EVP_PKEY* key,
                                  std::string_view certificate);

}  // namespace tessera::tls
