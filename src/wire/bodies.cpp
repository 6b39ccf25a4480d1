#include "wire/bodies.h"

#include "wire/message.h"

namespace tessera::wire {

using enum Presence;
using namespace std::chrono_literals;

namespace {

void read_join(Fields& fields, TokenWish& wish) {
  if (wish.role != tenancy::Role::kAgent)
    fields.decoder().refuse(fields.line(), "join", "only an agent joins",
                            "write the role agent and its node as subject");
  if (!wish.expires_in) wish.expires_in = 1h;
  if (*wish.expires_in > 7 * 24h)
    fields.decoder().refuse(fields.line(), "expiresIn", "what lets somebody join ends in a week",
                            "write e.g. \"1h\" or leave it out", base::Reason::kInvalidQuantity);
}

}  // namespace

base::Result<base::Duration> decode_renewal(std::string_view json, Limits limits) {
  return decode_body<base::Duration>(json, limits, [](Fields& fields, base::Duration& extra) {
    fields.duration("extra", extra, kRequired);
    fields.finish();
    if (extra <= base::Duration::zero())
      fields.decoder().refuse(fields.line(), "extra", "a renewal must add time",
                              "write e.g. \"4h\"", base::Reason::kInvalidQuantity);
  });
}

base::Result<std::string> decode_rejection(std::string_view json, Limits limits) {
  return decode_body<std::string>(
      json, limits, [](Fields& fields, std::string& message) { fields.text("message", message); });
}

base::Result<TokenWish> decode_token_wish(std::string_view json, Limits limits) {
  using tenancy::Role;
  return decode_body<TokenWish>(json, limits, [](Fields& fields, TokenWish& wish) {
    fields.name("name", wish.name, kRequired);
    fields.choice("role",
                  {Role::kViewer, Role::kMember, Role::kOperator, Role::kAdmin, Role::kAgent},
                  wish.role, kRequired);
    fields.name_or_empty("subject", wish.subject);
    if (const Value* lifetime = fields.take("expiresIn")) {
      fields.decoder().duration(*lifetime, "expiresIn", wish.expires_in.emplace());
      if (*wish.expires_in == base::Duration::zero())
        fields.decoder().refuse(lifetime->line, "expiresIn", "a token must live longer than 0",
                                "write e.g. \"30d\" or leave it out",
                                base::Reason::kInvalidQuantity);
    }
    if (const Value* join = fields.take("join")) fields.decoder().flag(*join, "join", wish.join);
    fields.finish();
    if (wish.join) read_join(fields, wish);
    const bool bound = wish.role == Role::kMember || wish.role == Role::kAgent;
    if (bound == wish.subject.empty())
      fields.decoder().refuse(
          fields.line(), "subject",
          std::string(to_string(wish.role)) + (bound ? " needs a subject" : " takes no subject"),
          "name the team of a member or the node of an agent, and nothing for other roles");
  });
}

}  // namespace tessera::wire
