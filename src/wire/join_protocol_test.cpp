#include "wire/join_protocol.h"

#include <gtest/gtest.h>

namespace tessera::wire {
namespace {

TEST(JoinProtocol, ReadsWhatItWrites) {
  const auto wish = decode_join(encode(JoinWish{"secret", "-----BEGIN\nA\n"}).dump());
  ASSERT_TRUE(wish) << base::to_string(wish.error());
  EXPECT_EQ(wish->secret, "secret");
  EXPECT_EQ(wish->request, "-----BEGIN\nA\n");
  const auto again = decode_certificate_wish(certificate_wish("-----BEGIN\nB\n").dump());
  ASSERT_TRUE(again) << base::to_string(again.error());
  EXPECT_EQ(*again, "-----BEGIN\nB\n");
  const Membership membership{"node-1", "-----BEGIN\nC\n",
                              base::Instant(base::Duration(86'400'000))};
  const auto read = decode_membership(encode(membership).dump());
  ASSERT_TRUE(read) << base::to_string(read.error());
  EXPECT_EQ(read->node, membership.node);
  EXPECT_EQ(read->certificate, membership.certificate);
  EXPECT_EQ(read->expires, membership.expires);
}

TEST(JoinProtocol, RefusesWhatIsNotWhole) {
  EXPECT_FALSE(decode_join(R"({"secret":"s"})")) << "no request";
  EXPECT_FALSE(decode_join(R"({"secret":"s","request":"r","node":"n"})")) << "unknown field";
  EXPECT_FALSE(decode_join(R"({"secret":["s"],"request":"r"})"));
  EXPECT_FALSE(decode_certificate_wish("{}"));
  const auto with = [](const char* field, const Json& value) {
    auto json = encode(Membership{"node-1", "c", base::Instant()});
    json[field] = value;
    return json.dump();
  };
  EXPECT_TRUE(decode_membership(with("node", "node-2")));
  EXPECT_FALSE(decode_membership(with("node", "../node-2"))) << "it becomes part of a path";
  EXPECT_FALSE(decode_membership(with("expiresAt", "tomorrow")));
}

}  // namespace
}  // namespace tessera::wire
