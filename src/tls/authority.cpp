#include "tls/authority.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <openssl/ssl.h>
#include <sys/stat.h>

#include "base/check.h"
#include "tls/private_file.h"

namespace tessera::tls {
namespace {

using base::fail;
using base::Reason;

/// When the CA begins to hold: its start protects nothing, and one that was made while the clock
/// was ahead would be refused by everyone once the clock is right again.
constexpr base::Instant kLongAgo{std::chrono::hours(24 * 365 * 30)};

std::unexpected<base::Error> trouble(const std::string& path, const std::string& what) {
  return fail(Reason::kUnavailable, what, path, "check the folder's permissions and its disk");
}

}  // namespace

base::Result<std::unique_ptr<Authority>> Authority::open(AuthorityOptions options,
                                                         const base::Clock& clock) {
  std::unique_ptr<Authority> authority(new Authority(std::move(options), clock));
  if (auto loaded = authority->load_or_make(); !loaded) return std::unexpected(loaded.error());
  if (auto made = authority->make_server_context(); !made) return std::unexpected(made.error());
  return authority;
}

base::Result<void> Authority::load_or_make() {
  std::error_code error;
  std::filesystem::create_directories(options_.folder, error);
  if (error || ::chmod(options_.folder.c_str(), 0700) != 0)
    return trouble(options_.folder, "cannot make a folder for its owner alone");
  const auto path = options_.folder + "/authority.pem";
  if (std::filesystem::exists(path, error)) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    key_ = key_from(text.str());
    certificate_ = certificate_from(text.str());
    if (!key_ || !certificate_ || X509_check_private_key(certificate_.get(), key_.get()) != 1)
      return fail(Reason::kUnavailable, "it does not hold the CA's key and certificate", path,
                  "restore it from a backup, or move it away: a new CA is made, and every client "
                  "and agent must be told its pin");
    if (end_of(*certificate_) <= clock_.now())
      return fail(Reason::kUnavailable,
                  "the CA expired at " + base::to_string(end_of(*certificate_)), path,
                  "check the machine's time, or move the file away: a new CA is made");
  } else {
    key_ = make_key();
    certificate_ =
        make_authority(key_.get(), "Tessera CA", {kLongAgo, clock_.now() + options_.lifetime});
    if (auto kept = write_private_file(path, to_pem(*key_) + to_pem(*certificate_)); !kept)
      return kept;
  }
  return write_private_file(certificate_path(), to_pem(*certificate_), 0644);
}

base::Result<void> Authority::make_server_context() {
  const auto now = clock_.now();
  const auto end = std::min(now + options_.server_lifetime, end_of(*certificate_));
  const auto key = make_key();
  const auto made =
      make_server(key.get(), options_.names, {certificate_.get(), key_.get()}, {now, end});
  if (!made) return std::unexpected(made.error());
  auto context = std::make_shared<Context>(Context::tls_server);
  SSL_CTX* raw = context->native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  CHECK(SSL_CTX_set_cipher_list(raw, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1);
  CHECK(SSL_CTX_use_certificate(raw, made->get()) == 1 &&
        SSL_CTX_use_PrivateKey(raw, key.get()) == 1);
  // Agents show a certificate, people and browsers none. No session outlives its connection, so a
  // certificate is looked at each time.
  CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(raw), certificate_.get()) == 1);
  CHECK(SSL_CTX_add_client_CA(raw, certificate_.get()) == 1);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET);
  CHECK(SSL_CTX_set_num_tickets(raw, 0) == 1);
  // Clients that know the CA by its pin alone need to be shown it.
  CHECK(SSL_CTX_add1_chain_cert(raw, certificate_.get()) == 1);
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
  made_at_ = now;
  renew_at_ = now + (end - now) * 2 / 3;
  return {};
}

base::Result<Authority::AgentCertificate> Authority::certify_agent(std::string_view request,
                                                                   const std::string& node) const {
  const auto key = key_of_request(request);
  if (!key) return std::unexpected(key.error());
  const auto now = clock_.now();
  const auto end = std::min(now + options_.agent_lifetime, end_of(*certificate_));
  const auto made = make_agent(key->get(), node, {certificate_.get(), key_.get()}, {now, end});
  if (!made) return std::unexpected(made.error());
  return AgentCertificate{to_pem(**made), digest_of_key(**key), end_of(**made)};
}

std::shared_ptr<Context> Authority::server_context() {
  bool due = false;
  {
    const std::lock_guard lock(mutex_);
    // One that was made while the clock was ahead holds for nobody yet.
    const auto now = clock_.now();
    due = now >= renew_at_ || now < made_at_;
  }
  // The names were good at the start. Two threads that find it due both make one: no harm.
  if (due) CHECK(make_server_context().has_value());
  const std::lock_guard lock(mutex_);
  return context_;
}

}  // namespace tessera::tls
