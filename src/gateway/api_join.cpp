#include "gateway/api.h"
#include "gateway/auth.h"
#include "tls/authority.h"
#include "wire/join_protocol.h"

/// How agents become known by a certificate (docs/decisions/0022).
namespace tessera::gateway {

using base::Reason;
using control::State;
using tenancy::Token;

namespace {

HttpResponse membership_response(const tls::Authority::AgentCertificate& made,
                                 const std::string& node, int status) {
  return json_response(wire::encode(wire::Membership{node, made.pem, made.end}), status);
}

base::Error not_admitted() {
  return {Reason::kUnauthenticated, "the join token is not known, was used, or has expired",
          "secret", "make another: `tessera token NAME --node NODE --join`"};
}

/// Tokens are an administrator's to change: the one who made the token has agreed to what joining
/// changes. The audit trail names the token.
tenancy::Actor on_behalf_of(const Token& token) {
  return {token.name, tenancy::Role::kAdmin, {}};
}

/// The token with that digest, if it still holds.
std::optional<Token> join_token(const State& state, const std::string& digest, base::Instant now) {
  const auto* token = state.find_token_by_digest(digest);
  if (token == nullptr || (token->expires && *token->expires <= now)) return std::nullopt;
  return *token;
}

}  // namespace

base::Error nobody_joins() {
  return {Reason::kWrongState,
          "this control plane makes no certificates, so nobody joins it",
          {},
          "start it with --tls"};
}

void Api::admit_agents(std::shared_ptr<tls::Authority> authority, bool required) {
  authority_ = std::move(authority);
  certificates_required_ = required;
}

void Api::join(const CallPtr& call) {
  if (!authority_) return call->refuse(nobody_joins());
  const auto wish = wire::decode_join(call->request().body, {.bytes = options_.max_body});
  if (!wish) return call->refuse(wish.error());
  const auto digest = join_digest(wish->secret);
  const auto now = clock_.now();
  const auto token =
      engine_.read([&](const State& state) { return join_token(state, digest, now); });
  if (!token) return call->refuse(not_admitted());
  const auto made = authority_->certify_agent(wish->request, token->subject);
  if (!made) return call->refuse(made.error());
  Token agent{.name = "certificate-" + token->subject,
              .role = tenancy::Role::kAgent,
              .subject = token->subject,
              .digest = agent_digest(made->key),
              .expires = std::nullopt};
  auto welcome = membership_response(*made, token->subject, 201);
  // Of two who come with the same token one finds it gone.
  const auto may_join = [digest, now, name = agent.name](const State& state) -> base::Result<void> {
    if (!join_token(state, digest, now)) return std::unexpected(not_admitted());
    const auto found = state.tokens().find(name);
    if (found == state.tokens().end() || is_agent_digest(found->second.digest)) return {};
    return base::fail(Reason::kConflict, "only the key of an agent that joined before makes way",
                      name, "delete the token \"" + name + "\" first");
  };
  engine_.ask({control::AdmitAgent{token->name, std::move(agent)}, on_behalf_of(*token), may_join},
              [call, welcome = std::move(welcome)](const service::Answer& answer) {
                if (!answer) return call->refuse(answer.error());
                call->reply(welcome);
              });
}

void Api::renew_certificate(const CallPtr& call) {
  if (!authority_) return call->refuse(nobody_joins());
  const auto& shown = call->request().certificate;
  const std::string& node = call->names[0];
  if (!shown || call->actor.subject != node)
    return call->refuse({Reason::kForbidden, "an agent renews its own certificate, by showing it",
                         "node", "join: `tessera agent --join TOKEN`"});
  const auto request =
      wire::decode_certificate_wish(call->request().body, {.bytes = options_.max_body});
  if (!request) return call->refuse(request.error());
  const auto made = authority_->certify_agent(*request, node);
  if (!made) return call->refuse(made.error());
  if (made->key != shown->key)
    return call->refuse({Reason::kForbidden,
                         "the request is for another key than the certificate's", "request",
                         "renew the same key, or join again with another"});
  call->reply(membership_response(*made, node, 200));
}

}  // namespace tessera::gateway
