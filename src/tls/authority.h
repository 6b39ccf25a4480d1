#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ssl/context.hpp>

#include "base/result.h"
#include "base/time.h"
#include "tls/certificate.h"

namespace tessera::tls {

using Context = boost::asio::ssl::context;

struct AuthorityOptions {
  std::string folder;              ///< of authority.pem (key and certificate) and ca.pem
  std::vector<std::string> names;  ///< host names and addresses that clients connect to
  base::Duration lifetime = std::chrono::hours(24 * 3650);  ///< of the CA
  base::Duration server_lifetime = std::chrono::hours(24 * 90);
  base::Duration agent_lifetime = std::chrono::hours(24 * 30);
};

/// The control plane's own small CA, and the server certificate that it keeps fresh.
///
/// FOLDER/authority.pem, for its owner alone, is written in one step at the first start and only
/// read after it. The server's key and certificate live in memory: every start makes new ones, and
/// a running server makes new ones once two thirds of their time are over; connections that are
/// open keep what they have. Clients know the CA, so nothing changes for them.
///
/// Threads: all members from any thread after open().
class Authority {
 public:
  /// Errors: kUnavailable (files that cannot be read or written, or are not ours, or a CA that has
  /// expired); kInvalidDocument (a name that is none).
  static base::Result<std::unique_ptr<Authority>> open(AuthorityOptions options,
                                                       const base::Clock& clock);

  /// For a connection that begins now: TLS 1.2 or later. Clients may show a certificate of this CA;
  /// one of another ends the handshake.
  std::shared_ptr<Context> server_context();

  /// What says that whoever has the key of `request` is the agent of `node`.
  struct AgentCertificate {
    std::string pem;
    std::string key;      ///< digest_of_key()
    base::Instant end{};  ///< when it must have been replaced
  };
  /// Of the request (PEM) only the key counts. Errors: kInvalidDocument.
  base::Result<AgentCertificate> certify_agent(std::string_view request,
                                               const std::string& node) const;

  std::string certificate() const { return to_pem(*certificate_); }
  std::string pin() const { return pin_of(*certificate_); }
  std::string certificate_path() const { return options_.folder + "/ca.pem"; }

 private:
  Authority(AuthorityOptions options, const base::Clock& clock)
      : options_(std::move(options)), clock_(clock) {}
  base::Result<void> load_or_make();
  base::Result<void> make_server_context();

  const AuthorityOptions options_;
  const base::Clock& clock_;
  KeyPtr key_;
  CertificatePtr certificate_;
  std::mutex mutex_;  ///< guards the rest
  std::shared_ptr<Context> context_;
  base::Instant made_at_{}, renew_at_{};
};

}  // namespace tessera::tls
