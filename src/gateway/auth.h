#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "control/state.h"
#include "tenancy/role.h"

/// Bearer tokens. A secret is 32 random bytes, so a plain SHA-256 of it is enough to store, and
/// finding the token by its digest takes a time that says nothing about how close a guess was.
namespace tessera::gateway {

/// "tsr_" and 43 characters of base64url. From the operating system's randomness.
std::string new_secret();

/// SHA-256 in lower-case hex: what tenancy::Token::digest holds.
std::string digest_of(std::string_view secret);

/// Who sent `authorization` (the header's value; null if there was none). Errors: kUnauthenticated
/// for none, another scheme, an unknown or an expired token.
base::Result<tenancy::Actor> authenticate(const control::State& state,
                                          const std::string* authorization, base::Instant now);

}  // namespace tessera::gateway
