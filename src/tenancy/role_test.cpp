#include "tenancy/role.h"

#include <gtest/gtest.h>

namespace tessera::tenancy {
namespace {

TEST(Role, EachMayDoWhatTheLesserMay) {
  const Actor admin{"a", Role::kAdmin, ""}, member{"m", Role::kMember, "vision"};
  EXPECT_TRUE(admin.at_least(Role::kViewer));
  EXPECT_FALSE(member.at_least(Role::kOperator));
  EXPECT_TRUE(member.may_act_for("vision"));
  EXPECT_FALSE(member.may_act_for("speech"));
  EXPECT_TRUE(admin.may_act_for("speech"));
}

TEST(Role, AnAgentIsNothingElse) {
  const Actor agent{"n", Role::kAgent, "node-1"}, admin{"a", Role::kAdmin, ""};
  EXPECT_FALSE(agent.at_least(Role::kViewer));
  EXPECT_FALSE(agent.may_act_for("node-1"));
  EXPECT_FALSE(admin.at_least(Role::kAgent));
  EXPECT_TRUE(agent.at_least(Role::kAgent));
}

TEST(Role, NamesRoundTrip) {
  for (auto role : {Role::kViewer, Role::kMember, Role::kOperator, Role::kAdmin, Role::kAgent})
    EXPECT_EQ(role_from(to_string(role)), role);
  EXPECT_EQ(role_from("root"), std::nullopt);
}

}  // namespace
}  // namespace tessera::tenancy
