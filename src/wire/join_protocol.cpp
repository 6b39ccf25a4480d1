#include "wire/join_protocol.h"

#include "wire/message.h"
#include "wire/objects.h"

namespace tessera::wire {

using enum Presence;

Json encode(const JoinWish& wish) {
  return {{"secret", wish.secret}, {"request", wish.request}};
}

base::Result<JoinWish> decode_join(std::string_view json, Limits limits) {
  return decode_message<JoinWish>(json, limits, [](Fields& fields, JoinWish& wish) {
    fields.text("secret", wish.secret, kRequired);
    fields.text("request", wish.request, kRequired);
  });
}

Json certificate_wish(std::string_view request) {
  return {{"request", request}};
}

base::Result<std::string> decode_certificate_wish(std::string_view json, Limits limits) {
  return decode_message<std::string>(json, limits, [](Fields& fields, std::string& request) {
    fields.text("request", request, kRequired);
  });
}

Json encode(const Membership& membership) {
  return {{"apiVersion", kApiVersion},
          {"kind", "Membership"},
          {"node", membership.node},
          {"certificate", membership.certificate},
          {"expiresAt", base::to_string(membership.expires)}};
}

base::Result<Membership> decode_membership(std::string_view json, Limits limits) {
  return decode_message<Membership>(json, limits, [](Fields& fields, Membership& membership) {
    fields.ignore("apiVersion");
    fields.ignore("kind");
    fields.name("node", membership.node, kRequired);
    fields.text("certificate", membership.certificate, kRequired);
    std::string expires;
    fields.text("expiresAt", expires, kRequired);
    if (!fields.decoder().ok()) return;
    if (const auto instant = base::parse_instant(expires))
      membership.expires = *instant;
    else
      fields.decoder().refuse(fields.line(), "expiresAt", instant.error());
  });
}

}  // namespace tessera::wire
