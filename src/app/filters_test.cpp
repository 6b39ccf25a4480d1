#include "app/filters.h"

#include <gtest/gtest.h>

namespace tessera::app {
namespace {

using wire::Json;

TEST(Filters, BecomeAQuery) {
  EXPECT_EQ(query_of({}), "");
  EXPECT_EQ(query_of({.team = "a b", .tier = "production"}), "?team=a%20b&tier=production");
}

TEST(Filters, LeaveWhatFits) {
  const Json request{{"spec", {{"team", "vision"}}},
                     {"status", {{"state", "queued"}, {"tier", "production"}}}};
  EXPECT_TRUE(passes(request, {}));
  EXPECT_TRUE(passes(request, {.team = "vision", .state = "queued", .tier = "production"}));
  EXPECT_FALSE(passes(request, {.team = "bio"}));
  EXPECT_FALSE(passes(request, {.state = "active"}));
  EXPECT_FALSE(passes(request, {.node = "node-1"}));
}

TEST(Filters, AGpuIsATeamsWhereOneOfItsSlicesIs) {
  const Json gpu{{"spec", {{"node", "node-1"}}},
                 {"status", {{"slices", Json::array({{{"team", "bio"}}, {{"team", "vision"}}})}}}};
  EXPECT_TRUE(passes(gpu, {.team = "vision", .node = "node-1"}));
  EXPECT_FALSE(passes(gpu, {.team = "speech"}));
}

TEST(Filters, AGangIsOnAllItsNodes) {
  const Json gang = {{"status", {{"node", "board-1"}, {"nodes", {"board-1", "board-2"}}}}};
  EXPECT_TRUE(passes(gang, {.node = "board-2"}));
  EXPECT_FALSE(passes(gang, {.node = "board-3"}));
}

TEST(Filters, AStateIsOneOfTheKinds) {
  EXPECT_TRUE(check_state("requests", ""));
  EXPECT_TRUE(check_state("requests", "pending-approval"));
  EXPECT_TRUE(check_state("leases", "ended"));
  EXPECT_TRUE(check_state("nodes", "lost"));
  EXPECT_TRUE(check_state("gpus", "away"));
  const auto wrong = check_state("requests", "queud");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().todo, "did you mean queued?");
  EXPECT_FALSE(check_state("leases", "queued"));
  EXPECT_FALSE(check_state("teams", "active"));
}

TEST(Filters, NameObjects) {
  const auto named = named_by({.team = "vision", .state = "active", .node = "node-1"});
  ASSERT_EQ(named.size(), 2U);
  EXPECT_EQ(named[0], std::pair(std::string("teams"), std::string("vision")));
  EXPECT_EQ(named[1].first, "nodes");
}

}  // namespace
}  // namespace tessera::app
