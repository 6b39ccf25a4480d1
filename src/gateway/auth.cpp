#include "gateway/auth.h"

#include <array>
#include <cstdint>
#include <span>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/check.h"

namespace tessera::gateway {
namespace {

std::string base64url(std::span<const unsigned char> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  std::uint32_t bits = 0;
  int held = 0;
  for (const unsigned char byte : bytes) {
    bits = bits << 8 | byte;
    for (held += 8; held >= 6; held -= 6) text += kDigits[bits >> (held - 6) & 63];
  }
  if (held > 0) text += kDigits[bits << (6 - held) & 63];
  return text;
}

constexpr std::string_view kAgentKey = "key:";

std::unexpected<base::Error> unknown(std::string what) {
  return base::fail(base::Reason::kUnauthenticated, std::move(what), "Authorization",
                    "send \"Authorization: Bearer TOKEN\"");
}

}  // namespace

std::string new_secret(std::string_view prefix) {
  std::array<unsigned char, 32> bytes{};
  CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
  return std::string(prefix) + base64url(bytes);
}

std::string digest_of(std::string_view secret) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  CHECK(EVP_Digest(secret.data(), secret.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

std::string join_digest(std::string_view secret) {
  return "join:" + digest_of(secret);
}

std::string agent_digest(std::string_view key) {
  return std::string(kAgentKey) + std::string(key);
}

bool is_agent_digest(std::string_view digest) {
  return digest.starts_with(kAgentKey);
}

base::Result<tenancy::Actor> authenticate(const control::State& state, const tls::Peer& peer,
                                          base::Instant now) {
  const auto refuse = [](std::string what) {
    return base::fail(base::Reason::kUnauthenticated, std::move(what), "certificate",
                      "join again with a new token: `tessera token NAME --node NODE --join`");
  };
  if (peer.end <= now) return refuse("the certificate ended at " + base::to_string(peer.end));
  const auto* token = state.find_token_by_digest(agent_digest(peer.key));
  if (token == nullptr) return refuse("the certificate's key is not known, or no longer");
  if (token->subject != peer.name)
    return refuse("the certificate is for another node than its key");
  return tenancy::Actor{token->name, token->role, token->subject};
}

base::Result<tenancy::Actor> authenticate(const control::State& state,
                                          const std::string* authorization, base::Instant now) {
  if (authorization == nullptr) return unknown("a token is needed");
  constexpr std::string_view kScheme = "Bearer ";
  if (!authorization->starts_with(kScheme)) return unknown("only bearer tokens are accepted");
  const auto* token = state.find_token_by_digest(
      digest_of(std::string_view(*authorization).substr(kScheme.size())));
  if (token == nullptr) return unknown("the token is not known");
  if (token->expires && *token->expires <= now)
    return unknown("the token expired at " + base::to_string(*token->expires));
  return tenancy::Actor{token->name, token->role, token->subject};
}

}  // namespace tessera::gateway
