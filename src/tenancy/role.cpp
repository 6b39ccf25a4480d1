#include "tenancy/role.h"

#include <array>

namespace tessera::tenancy {
namespace {
constexpr std::array<std::string_view, 5> kNames = {"viewer", "member", "operator", "admin",
                                                    "agent"};
}  // namespace

std::string_view to_string(Role role) {
  return kNames[static_cast<std::size_t>(role)];
}

std::optional<Role> role_from(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == text) return static_cast<Role>(i);
  return std::nullopt;
}

bool Actor::at_least(Role least) const {
  if (role == Role::kAgent || least == Role::kAgent) return role == least;
  return role >= least;
}

bool Actor::may_act_for(std::string_view team) const {
  return at_least(Role::kOperator) || (role == Role::kMember && subject == team);
}

}  // namespace tessera::tenancy
