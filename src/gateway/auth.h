#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "control/state.h"
#include "tenancy/role.h"
#include "tls/peer.h"

/// Who asks. A secret is 32 random bytes, so a plain SHA-256 of it is enough to store, and finding
/// the token by its digest takes a time that says nothing about how close a guess was.
///
/// Of the state's tokens some are no bearer's: those that let an agent join, once, and the keys of
/// agents that have. What they store begins with a word, so that none passes for another.
namespace tessera::gateway {

/// `prefix` and 43 characters of base64url. From the operating system's randomness.
std::string new_secret(std::string_view prefix = "tsr_");

/// SHA-256 in lower-case hex: what tenancy::Token::digest holds.
std::string digest_of(std::string_view secret);

/// What is stored of a secret that lets an agent join.
std::string join_digest(std::string_view secret);
/// What is stored of an agent that has joined: tls::Peer::key tells it again.
std::string agent_digest(std::string_view key);
bool is_agent_digest(std::string_view digest);

/// The agent that shows a certificate, by its key. Errors: kUnauthenticated for one that has ended,
/// is of a key that nobody joined with, or of another node than the key.
base::Result<tenancy::Actor> authenticate(const control::State& state, const tls::Peer& peer,
                                          base::Instant now);

/// Who sent `authorization` (the header's value; null if there was none). Errors: kUnauthenticated
/// for none, another scheme, an unknown or an expired token.
base::Result<tenancy::Actor> authenticate(const control::State& state,
                                          const std::string* authorization, base::Instant now);

}  // namespace tessera::gateway
