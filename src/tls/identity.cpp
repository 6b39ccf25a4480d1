#include "tls/identity.h"

#include <fstream>
#include <sstream>

#include "tls/private_file.h"

namespace tessera::tls {

using base::fail;
using base::Reason;

base::Instant Identity::renew_at() const {
  const base::Instant begin = begin_of(*certificate) + kSkew;
  return begin + (end_of(*certificate) - begin) * 2 / 3;
}

base::Result<Identity> read_identity(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    return fail(Reason::kUnavailable, "cannot read the agent's key and certificate", path,
                "join the control plane: tessera agent --join TOKEN");
  Identity identity{key_from(text.str()), certificate_from(text.str())};
  if (!identity.key || !identity.certificate ||
      X509_check_private_key(identity.certificate.get(), identity.key.get()) != 1)
    return fail(Reason::kUnavailable, "it does not hold an agent's key and its certificate", path,
                "move it away and join again: tessera agent --join TOKEN");
  return identity;
}

base::Result<void> write_identity(const std::string& path, EVP_PKEY* key,
                                  std::string_view certificate) {
  const auto read = certificate_from(certificate);
  if (!read || X509_check_private_key(read.get(), key) != 1)
    return fail(Reason::kInvalidDocument, "the control plane's answer is no certificate of our key",
                "certificate", "see that both are of the same version, and join again");
  return write_private_file(path, to_pem(*key) + to_pem(*read));
}

}  // namespace tessera::tls
