#include <gtest/gtest.h>

#include "client/join.h"

namespace tessera::client {
namespace {

const std::string kPin = "sha256:" + std::string(64, 'a');

TEST(JoinToken, RoundTrips) {
  for (const char* host : {"fleet.example", "10.0.0.7", "::1"}) {
    const JoinToken token{{host, 8787, true}, "node-1", kPin, "tsj_abc-DEF_123"};
    const auto read = parse_join_token(to_text(token) + "\n");
    ASSERT_TRUE(read) << base::to_string(read.error());
    EXPECT_EQ(to_text(*read), to_text(token));
    EXPECT_EQ(read->server.host, host);
    EXPECT_EQ(read->node, "node-1");
    EXPECT_EQ(read->secret, "tsj_abc-DEF_123");
  }
}

TEST(JoinToken, RefusesWhateverElseItIsGiven) {
  const std::string good = "join1,https://fleet.example:8787,node-1," + kPin + ",tsj_x";
  ASSERT_TRUE(parse_join_token(good));
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse_join_token(good.substr(0, size))) << size;
  for (const std::string& bad :
       {"join2" + good.substr(5), good + ",more", " " + good, std::string(1 << 20, ','),
        "join1,http://fleet.example:8787,node-1," + kPin + ",tsj_x",
        "join1,https://fleet.example:8787,../node," + kPin + ",tsj_x",
        "join1,https://fleet.example:8787,Node 1," + kPin + ",tsj_x",
        std::string("join1,https://fleet.example:8787,node-1,,tsj_x"),
        "join1,https://fleet.example:8787,node-1," + kPin + ",tsr_x",
        "join1,https://fleet.example:8787,node-1," + kPin + ",tsj_x\r\nHost: y",
        "join1,https://fleet.example:8787,node-1," + kPin + ",tsj_" + std::string(200, 'x')}) {
    const auto read = parse_join_token(bad);
    ASSERT_FALSE(read) << bad.substr(0, 100);
    EXPECT_EQ(read.error().reason, base::Reason::kInvalidDocument);
    // An error must not repeat what may be a secret.
    EXPECT_EQ(base::to_string(read.error()).find("tsj_x"), std::string::npos);
  }
}

}  // namespace
}  // namespace tessera::client
