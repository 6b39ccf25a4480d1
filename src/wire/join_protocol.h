#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "wire/json.h"
#include "wire/parse.h"

/// What an agent and the control plane say to each other about the agent's certificate, as JSON.
/// Certificates and requests for them are PEM. decode(encode(x)) == x, tested.
namespace tessera::wire {

/// POST /v1/join: {"secret","request"}.
struct JoinWish {
  std::string secret;   ///< of the token, used up by this
  std::string request;  ///< for a certificate of the agent's own key
};
Json encode(const JoinWish& wish);
base::Result<JoinWish> decode_join(std::string_view json, Limits limits = {});

/// POST /v1/agent/nodes/NAME/certificate: {"request"}, of the same key as before.
Json certificate_wish(std::string_view request);
base::Result<std::string> decode_certificate_wish(std::string_view json, Limits limits = {});

/// The answer to both.
struct Membership {
  std::string node;         ///< what the certificate is for
  std::string certificate;  ///< the agent's
  base::Instant expires{};
};
Json encode(const Membership& membership);
base::Result<Membership> decode_membership(std::string_view json, Limits limits = {});

}  // namespace tessera::wire
