#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/result.h"
#include "base/time.h"

/// Keys and certificates, thinly over OpenSSL. Threads: any, each its own objects.
namespace tessera::tls {

template <auto kFree>
struct Freed {
  void operator()(auto* object) const { kFree(object); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Freed<X509_free>>;

/// A new key on the curve P-256.
KeyPtr make_key();

/// Who vouches for a certificate.
struct Issuer {
  X509* certificate = nullptr;  ///< null: the certificate signs itself
  EVP_PKEY* key = nullptr;
};
/// By so much earlier certificates hold than they were made, as clocks differ.
inline constexpr auto kSkew = std::chrono::minutes(5);
/// From kSkew before `begin` until `end`.
struct Validity {
  base::Instant begin;
  base::Instant end;
};

/// A certificate that may sign others, and itself.
CertificatePtr make_authority(EVP_PKEY* key, const std::string& name, Validity validity);
/// A server's, for `names`: host names and numeric addresses. Errors: kInvalidDocument for a name
/// that is neither.
base::Result<CertificatePtr> make_server(EVP_PKEY* key, const std::vector<std::string>& names,
                                         Issuer issuer, Validity validity);

/// An agent's, for the node of that name. Errors: kInvalidDocument (a name that is too long).
base::Result<CertificatePtr> make_agent(EVP_PKEY* key, const std::string& node, Issuer issuer,
                                        Validity validity);

/// What is sent to be certified: the public key, signed with the private one. As PEM.
std::string make_request(EVP_PKEY* key);
/// The public key of such a request, from whoever sent it. Errors: kInvalidDocument (none, one
/// that is not signed with its own key, another kind of key than make_key()'s).
base::Result<KeyPtr> key_of_request(std::string_view pem);

/// From when to when it holds.
base::Instant begin_of(const X509& certificate);
base::Instant end_of(const X509& certificate);
/// Its subject's common name; empty where there is none.
std::string name_of(const X509& certificate);
/// SHA-256, in lower-case hex.
std::string digest_of(std::string_view text);
/// SHA-256 of a public key as certificates write it, in lower-case hex.
std::string digest_of_key(EVP_PKEY& key);
/// "sha256:" and the digest of the certificate in lower-case hex.
std::string pin_of(const X509& certificate);

std::string to_pem(const X509& certificate);
std::string to_pem(EVP_PKEY& key);
/// Null where there is none in the text.
CertificatePtr certificate_from(std::string_view pem);
KeyPtr key_from(std::string_view pem);

}  // namespace tessera::tls
