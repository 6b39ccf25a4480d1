#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "tenancy/role.h"
#include "wire/parse.h"

/// The small bodies of the API's verbs, read as strictly as documents. An empty body stands for {}.
namespace tessera::wire {

/// POST /v1/leases/NAME/renew: {"extra":"4h"}.
base::Result<base::Duration> decode_renewal(std::string_view json, Limits limits = {});

/// POST /v1/requests/NAME/reject: {"message":"…"}, the message being optional.
base::Result<std::string> decode_rejection(std::string_view json, Limits limits = {});

/// POST /v1/tokens: {"name","role","subject","expiresIn","join"}. A member has its team as subject,
/// an agent its node, the other roles none. What lets an agent join lives an hour unless told, and
/// a week at most.
struct TokenWish {
  std::string name;
  tenancy::Role role = tenancy::Role::kViewer;
  std::string subject;
  std::optional<base::Duration> expires_in;  ///< absent: never
  bool join = false;                         ///< good for one join, and nothing else
};
base::Result<TokenWish> decode_token_wish(std::string_view json, Limits limits = {});

}  // namespace tessera::wire
