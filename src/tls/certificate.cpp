#include "tls/certificate.h"

#include <algorithm>
#include <array>
#include <ctime>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/check.h"

namespace tessera::tls {
namespace {

using base::fail;
using base::Reason;
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, Freed<X509_REQ_free>>;

constexpr std::size_t kLongestName = 253;
constexpr std::size_t kLongestCommonName = 64;  // X.520's bound, which OpenSSL keeps
constexpr std::size_t kLargestRequest = 8 << 10;

std::time_t seconds_of(base::Instant instant) {
  return static_cast<std::time_t>(
      std::chrono::duration_cast<std::chrono::seconds>(instant.time_since_epoch()).count());
}

bool is_address(const std::string& name) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

/// Nothing that would mean something in OpenSSL's own notation.
bool is_host(const std::string& name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
  };
  return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, plain) &&
         name.front() != '.' && name.front() != '-';
}

void extend(X509& certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, &certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  CHECK(extension != nullptr && X509_add_ext(&certificate, extension.get(), -1) == 1);
}

/// All but extensions and signature. The number is random, so that no list of numbers is needed.
CertificatePtr draft(EVP_PKEY* key, const std::string& name, const X509_NAME* issuer,
                     Validity validity) {
  CertificatePtr certificate(X509_new());
  CHECK(certificate != nullptr && X509_set_version(certificate.get(), 2) == 1);
  const NumberPtr number(BN_new());
  CHECK(number != nullptr && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1);
  CHECK(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), seconds_of(validity.begin - kSkew));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), seconds_of(validity.end));
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(name.data()),
                                   static_cast<int>(name.size()), -1, 0) == 1);
  X509_set_issuer_name(certificate.get(), issuer != nullptr ? issuer : subject);
  CHECK(X509_set_pubkey(certificate.get(), key) == 1);
  return certificate;
}

std::string text_of(const BioPtr& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

/// Nobody is asked for a password: what has one is none of ours. OpenSSL would ask at the terminal.
int no_password(char* /*text*/, int /*size*/, int /*writing*/, void* /*user*/) {
  return 0;
}

BioPtr reader(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

base::Instant instant_of(const ASN1_TIME* time) {
  std::tm parts{};
  CHECK(ASN1_TIME_to_tm(time, &parts) == 1);
  return base::Instant(std::chrono::seconds(timegm(&parts)));
}

std::string hex_of(const unsigned char* bytes, unsigned size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

std::unexpected<base::Error> bad_request(std::string what) {
  return fail(Reason::kInvalidDocument, std::move(what), "request",
              "send a certificate request (PEM) for a key on the curve P-256, signed with it");
}

void free_written(unsigned char* bytes) {
  OPENSSL_free(bytes);
}

bool is_on_our_curve(EVP_PKEY& key) {
  std::array<char, 32> curve{};
  std::size_t size = 0;
  return EVP_PKEY_is_a(&key, "EC") == 1 &&
         EVP_PKEY_get_group_name(&key, curve.data(), curve.size(), &size) == 1 &&
         std::string_view(curve.data(), size) == SN_X9_62_prime256v1;
}

}  // namespace

KeyPtr make_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  CHECK(key != nullptr);
  return key;
}

CertificatePtr make_authority(EVP_PKEY* key, const std::string& name, Validity validity) {
  auto certificate = draft(key, name, nullptr, validity);
  extend(*certificate, certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  extend(*certificate, certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  extend(*certificate, certificate.get(), NID_subject_key_identifier, "hash");
  CHECK(X509_sign(certificate.get(), key, EVP_sha256()) > 0);
  return certificate;
}

base::Result<CertificatePtr> make_server(EVP_PKEY* key, const std::vector<std::string>& names,
                                         Issuer issuer, Validity validity) {
  std::string list;
  for (const auto& name : names) {
    if (!is_address(name) && !is_host(name))
      return fail(Reason::kInvalidDocument,
                  "\"" + name.substr(0, 64) + "\" is neither a host name nor an address",
                  "--tls-name", "write it as fleet.example.org or 10.0.0.7");
    list += (list.empty() ? "" : ",") + std::string(is_address(name) ? "IP:" : "DNS:") + name;
  }
  if (list.empty())
    return fail(Reason::kInvalidDocument, "a server needs a name", "--tls-name",
                "name the host or address that clients connect to");
  auto certificate =
      draft(key, "Tessera control plane", X509_get_subject_name(issuer.certificate), validity);
  extend(*certificate, issuer.certificate, NID_basic_constraints, "critical,CA:FALSE");
  extend(*certificate, issuer.certificate, NID_key_usage, "critical,digitalSignature");
  extend(*certificate, issuer.certificate, NID_ext_key_usage, "serverAuth");
  extend(*certificate, issuer.certificate, NID_subject_alt_name, list);
  extend(*certificate, issuer.certificate, NID_authority_key_identifier, "keyid");
  CHECK(X509_sign(certificate.get(), issuer.key, EVP_sha256()) > 0);
  return certificate;
}

base::Result<CertificatePtr> make_agent(EVP_PKEY* key, const std::string& node, Issuer issuer,
                                        Validity validity) {
  if (node.empty() || node.size() > kLongestCommonName)
    return fail(Reason::kInvalidDocument, "a certificate's name has 1 to 64 characters", "node",
                "give the node a shorter name");
  auto certificate = draft(key, node, X509_get_subject_name(issuer.certificate), validity);
  extend(*certificate, issuer.certificate, NID_basic_constraints, "critical,CA:FALSE");
  extend(*certificate, issuer.certificate, NID_key_usage, "critical,digitalSignature");
  extend(*certificate, issuer.certificate, NID_ext_key_usage, "clientAuth");
  extend(*certificate, issuer.certificate, NID_authority_key_identifier, "keyid");
  CHECK(X509_sign(certificate.get(), issuer.key, EVP_sha256()) > 0);
  return certificate;
}

std::string make_request(EVP_PKEY* key) {
  const RequestPtr request(X509_REQ_new());
  CHECK(request != nullptr && X509_REQ_set_pubkey(request.get(), key) == 1 &&
        X509_REQ_sign(request.get(), key, EVP_sha256()) > 0);
  const BioPtr bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509_REQ(bio.get(), request.get()) == 1);
  return text_of(bio);
}

base::Result<KeyPtr> key_of_request(std::string_view pem) {
  if (pem.size() > kLargestRequest) return bad_request("the request is too large");
  // OpenSSL keeps what it complains about in a queue of this thread, which TLS reads as well.
  const auto quiet = [](auto result) {
    ERR_clear_error();
    return result;
  };
  const RequestPtr request(
      quiet(PEM_read_bio_X509_REQ(reader(pem).get(), nullptr, no_password, nullptr)));
  if (!request) return bad_request("this is no certificate request");
  KeyPtr key(quiet(X509_REQ_get_pubkey(request.get())));
  if (!key || !is_on_our_curve(*key)) return bad_request("its key is of another kind");
  if (quiet(X509_REQ_verify(request.get(), key.get())) != 1)
    return bad_request("it is not signed with its own key");
  return key;
}

base::Instant begin_of(const X509& certificate) {
  return instant_of(X509_get0_notBefore(&certificate));
}

base::Instant end_of(const X509& certificate) {
  return instant_of(X509_get0_notAfter(&certificate));
}

std::string name_of(const X509& certificate) {
  std::array<char, kLongestCommonName + 1> text{};
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(&certificate), NID_commonName,
                                             text.data(), static_cast<int>(text.size()));
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

std::string digest_of(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  return hex_of(digest.data(), size);
}

std::string digest_of_key(EVP_PKEY& key) {
  unsigned char* written = nullptr;
  const int size = i2d_PUBKEY(&key, &written);
  CHECK(size > 0);
  const std::unique_ptr<unsigned char, Freed<free_written>> owner(written);
  return digest_of({reinterpret_cast<const char*>(written), static_cast<std::size_t>(size)});
}

std::string pin_of(const X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  CHECK(X509_digest(&certificate, EVP_sha256(), digest.data(), &size) == 1);
  return "sha256:" + hex_of(digest.data(), size);
}

std::string to_pem(const X509& certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509(bio.get(), &certificate) == 1);
  return text_of(bio);
}

std::string to_pem(EVP_PKEY& key) {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  CHECK(PEM_write_bio_PrivateKey(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return text_of(bio);
}

CertificatePtr certificate_from(std::string_view pem) {
  return CertificatePtr(PEM_read_bio_X509(reader(pem).get(), nullptr, no_password, nullptr));
}

KeyPtr key_from(std::string_view pem) {
  return KeyPtr(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_password, nullptr));
}

}  // namespace tessera::tls
