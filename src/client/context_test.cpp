#include "client/context.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "client/connection.h"

namespace tessera::client {
namespace {

TEST(Server, ReadsAddresses) {
  EXPECT_EQ(parse_server("http://127.0.0.1:8787")->url(), "http://127.0.0.1:8787");
  EXPECT_EQ(parse_server("http://[::1]:99/")->url(), "http://[::1]:99");
  EXPECT_EQ(parse_server("http://fleet.example")->port, 80);
  EXPECT_EQ(parse_server("https://fleet.example")->url(), "https://fleet.example:443");
  for (const char* url : {"", "127.0.0.1", "ftp://x", "http://", "https://", "http://x:99999",
                          "http://x:1y", "http://[::1", "http://a/b"})
    EXPECT_FALSE(parse_server(url)) << url;
}

class ContextFile : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  std::string path_ = testing::TempDir() + "context_test.yaml";
};

TEST_F(ContextFile, RoundTripsAndIsPrivate) {
  const tls::Trust trust{"/etc/tessera/ca.pem", "sha256:00"};
  ASSERT_TRUE(write_context(path_, {{"127.0.0.1", 8787, true}, "tsr_secret", trust}));
  const auto read = read_context(path_);
  ASSERT_TRUE(read) << base::to_string(read.error());
  EXPECT_EQ(read->server.port, 8787);
  EXPECT_EQ(read->token, "tsr_secret");
  EXPECT_TRUE(read->server.secure);
  EXPECT_EQ(read->trust, trust);
  EXPECT_EQ(std::filesystem::status(path_).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(ContextFile, SaysWhatIsWrong) {
  EXPECT_FALSE(read_context(path_ + ".absent"));
  std::ofstream(path_) << "server: http://127.0.0.1:1\ntokn: x\n";
  const auto read = read_context(path_);
  ASSERT_FALSE(read);
  EXPECT_NE(base::to_string(read.error()).find(":2"), std::string::npos);
}

TEST(Encode, LeavesOnlyPlainCharacters) {
  EXPECT_EQ(encode("node-1/3 ä"), "node-1%2F3%20%C3%A4");
}

}  // namespace
}  // namespace tessera::client
