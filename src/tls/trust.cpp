#include "tls/trust.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "tls/certificate.h"
#include "tls/identity.h"

namespace tessera::tls {
namespace {

using base::fail;
using base::Reason;

constexpr std::string_view kScheme = "sha256:";

bool read_hex(std::string_view text, std::array<unsigned char, 32>& bytes) {
  if (text.size() != 2 * bytes.size()) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char* at = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(at, at + 2, bytes[i], 16);
    if (error != std::errc{} || end != at + 2) return false;
  }
  return true;
}

bool has_digest(const X509& certificate, const std::array<unsigned char, 32>& wanted) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  return X509_digest(&certificate, EVP_sha256(), digest.data(), &size) == 1 &&
         size == wanted.size() && std::equal(wanted.begin(), wanted.end(), digest.begin());
}

/// Whether one of the certificates in a file has the digest.
bool holds(const std::string& path, const std::array<unsigned char, 32>& digest) {
  const std::unique_ptr<BIO, Freed<BIO_free_all>> file(BIO_new_file(path.c_str(), "r"));
  while (file) {
    const CertificatePtr next(PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr));
    if (!next) break;
    if (has_digest(*next, digest)) return true;
  }
  return false;
}

base::Error about(std::string what, std::string todo) {
  return {Reason::kUnavailable, std::move(what), {}, std::move(todo)};
}

}  // namespace

base::Result<std::shared_ptr<ClientContext>> ClientContext::make(const Trust& trust,
                                                                 const std::string& identity) {
  std::shared_ptr<ClientContext> made(new ClientContext);
  SSL_CTX* raw = made->context_.native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  if (!trust.ca.empty()) {
    if (SSL_CTX_load_verify_locations(raw, trust.ca.c_str(), nullptr) != 1)
      return fail(Reason::kUnavailable, "there is no certificate to be read", trust.ca,
                  "name the CA's certificate with `ca:`, or its `pin:`");
  } else if (trust.pin.empty()) {
    SSL_CTX_set_default_verify_paths(raw);
  }
  if (!identity.empty())
    if (auto shown = made->show(identity); !shown) return std::unexpected(shown.error());
  if (trust.pin.empty()) return made;
  const std::string_view pin = trust.pin;
  if (!pin.starts_with(kScheme) || !read_hex(pin.substr(kScheme.size()), made->pin_))
    return fail(
        Reason::kInvalidDocument, "\"" + trust.pin.substr(0, 80) + "\" is not a pin", "pin",
        "write it as sha256: and 64 hexadecimal digits, as `tessera serve --tls` prints it");
  if (!trust.ca.empty() && !holds(trust.ca, made->pin_))
    return fail(Reason::kInvalidDocument, "none of its certificates has the pin " + trust.pin,
                trust.ca, "leave out `ca:` or `pin:`, whichever is of another control plane");
  SSL_CTX_set_cert_verify_callback(raw, check_pinned, made.get());
  return made;
}

base::Result<void> ClientContext::show(const std::string& identity) {
  const auto read = read_identity(identity);
  if (!read) return std::unexpected(read.error());
  SSL_CTX* raw = context_.native_handle();
  CHECK(SSL_CTX_use_certificate(raw, read->certificate.get()) == 1 &&
        SSL_CTX_use_PrivateKey(raw, read->key.get()) == 1);
  return {};
}

/// The certificate with the pin becomes the only root; all else is checked as usual.
int ClientContext::check_pinned(X509_STORE_CTX* store, void* self) {
  const auto& pin = static_cast<const ClientContext*>(self)->pin_;
  STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(store);
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    X509* certificate = sk_X509_value(sent, i);
    if (!has_digest(*certificate, pin)) continue;
    const auto free = [](STACK_OF(X509) * stack) { sk_X509_free(stack); };
    const std::unique_ptr<STACK_OF(X509), decltype(free)> roots(sk_X509_new_null(), free);
    if (!roots || sk_X509_push(roots.get(), certificate) == 0) return 0;
    X509_STORE_CTX_set0_trusted_stack(store, roots.get());
    return X509_verify_cert(store) == 1 ? 1 : 0;
  }
  X509_STORE_CTX_set_error(store, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
  return 0;
}

bool ClientContext::expect(SSL* ssl, const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl);
  if (inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
      inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1)
    return X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1;
  return SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 &&
         X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size()) == 1;
}

std::optional<base::Error> ClientContext::complaint(const SSL* ssl) {
  const long result = SSL_get_verify_result(ssl);
  const std::string why = X509_verify_cert_error_string(result);
  switch (result) {
    case X509_V_OK:
      return std::nullopt;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return about("its certificate is for other names than this",
                   "start it with --tls-name and this name, or call it by one that it has");
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return about("its certificate does not hold now: " + why,
                   "compare the clocks of both machines; start the control plane again");
    default:
      return about("its certificate is from a CA that is not trusted here: " + why,
                   "compare `pin:` or `ca:` of the context with what the control plane printed at "
                   "its start");
  }
}

}  // namespace tessera::tls
