#include "wire/bodies.h"

#include <gtest/gtest.h>

#include "wire/plan_resource.h"

namespace tessera::wire {
namespace {

using namespace std::chrono_literals;
using tenancy::Role;

TEST(Bodies, Renewal) {
  EXPECT_EQ(decode_renewal(R"({"extra":"4h"})").value(), 4h);
  for (const char* body : {"", "{}", R"({"extra":"0s"})", R"({"extra":4})", R"({"extra":"-4h"})",
                           R"({"extra":"4h","more":1})", "[]", "x"})
    EXPECT_FALSE(decode_renewal(body)) << body;
}

TEST(Bodies, Rejection) {
  EXPECT_EQ(decode_rejection("").value(), "");
  EXPECT_EQ(decode_rejection(R"({"message":"not now"})").value(), "not now");
  EXPECT_FALSE(decode_rejection(R"({"message":1})"));
}

TEST(Bodies, TokenWish) {
  const auto wish =
      decode_token_wish(R"({"name":"ci","role":"member","subject":"vision","expiresIn":"30d"})");
  ASSERT_TRUE(wish);
  EXPECT_EQ(wish->name, "ci");
  EXPECT_EQ(wish->role, Role::kMember);
  EXPECT_EQ(wish->subject, "vision");
  EXPECT_EQ(wish->expires_in, base::Duration(24h * 30));
  EXPECT_FALSE(decode_token_wish(R"({"name":"ci","role":"admin"})")->expires_in);
  for (const char* body :
       {"{}", R"({"name":"ci"})", R"({"name":"ci","role":"root"})",
        R"({"name":"ci","role":"member"})", R"({"name":"ci","role":"admin","subject":"vision"})",
        R"({"name":"ci","role":"agent","subject":""})",
        R"({"name":"ci","role":"admin","expiresIn":"0s"})"})
    EXPECT_FALSE(decode_token_wish(body)) << body;
}

TEST(Bodies, ADemandOfAPlanMayBeWorthMoreThanOne) {
  const auto order = decode_plan_order(R"({"demand":[{"profile":"1g.10gb","value":"2.5"}]})");
  ASSERT_TRUE(order) << base::to_string(order.error());
  EXPECT_EQ(order->wish.demands.front().value, planning::kUnit * 5 / 2);
}

}  // namespace
}  // namespace tessera::wire
