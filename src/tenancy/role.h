#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fields.h"
#include "base/time.h"

namespace tessera::tenancy {

/// Who may do what. Each role may do all that the ones before it may, `agent` apart.
enum class Role : std::uint8_t {
  kViewer,    ///< read
  kMember,    ///< ask, renew, release and cancel for its own team
  kOperator,  ///< approve, cordon, act for any team
  kAdmin,     ///< change documents and tokens
  kAgent,     ///< report for one node, and nothing else
};
std::string_view to_string(Role role);
std::optional<Role> role_from(std::string_view text);

/// A bearer's secret, one to join with, or the key of an agent. Only its SHA-256 is kept.
struct Token {
  std::string name;
  Role role = Role::kViewer;
  std::string subject;  ///< member: team; agent: node; else empty
  std::string digest;   ///< lower-case hex; after "join:" or "key:" where it is no bearer's
  std::optional<base::Instant> expires;
  static void fields(auto& self, auto&& visit) {
    visit("name", self.name);
    visit("role", self.role);
    visit("subject", self.subject);
    visit("digest", self.digest);
    visit("expires", self.expires);
  }
};

/// Who is asking.
struct Actor {
  std::string name;
  Role role = Role::kViewer;
  std::string subject;
  static void fields(auto& self, auto&& visit) {
    visit("name", self.name);
    visit("role", self.role);
    visit("subject", self.subject);
  }

  /// May this actor ask and act for `team`?
  bool may_act_for(std::string_view team) const;
  bool at_least(Role least) const;
};

}  // namespace tessera::tenancy
