#include "gateway/http.h"

#include <gtest/gtest.h>

namespace tessera::gateway {
namespace {

TEST(HttpHeaders, MatchWithoutRegardToCase) {
  Headers headers{{"If-Match", "\"a\""}};
  headers.add("Accept", "x");
  ASSERT_NE(headers.find("if-match"), nullptr);
  EXPECT_EQ(*headers.find("IF-MATCH"), "\"a\"");
  EXPECT_EQ(headers.find("If-Matchx"), nullptr);
}

TEST(HttpTarget, SplitsAndDecodes) {
  const auto target = parse_target("/v1/gpus/node%2D1/3?team=a+b%21&dryRun=true&x");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->segments, (std::vector<std::string>{"v1", "gpus", "node-1", "3"}));
  EXPECT_EQ(*target->find("team"), "a b!");
  EXPECT_EQ(*target->find("x"), "");
  EXPECT_EQ(target->find("y"), nullptr);
  EXPECT_TRUE(parse_target("/")->segments.empty());
  EXPECT_EQ(parse_target("/v1/tiers/")->segments.size(), 2u);
}

TEST(HttpTarget, RefusesWhatIsNoPath) {
  for (const char* text : {"", "*", "http://x/y", "/a//b", "/a/../b", "/a/%2e%2E/b", "/%", "/%4",
                           "/%zz", "/%00", "/%c3", "/a%0ab", "/?a=1&a=2", "/?a=%ff", "/\x01"})
    EXPECT_FALSE(parse_target(text)) << text;
}

TEST(Utf8, FollowsRfc3629) {
  for (const char* good :
       {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(valid_utf8(good)) << good;
  for (const char* bad :
       {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80\x80", "\xe2\x82", "\xff", "\xe2\x28\xa1"})
    EXPECT_FALSE(valid_utf8(bad)) << bad;
}

}  // namespace
}  // namespace tessera::gateway
