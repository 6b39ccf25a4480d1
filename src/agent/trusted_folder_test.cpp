#include "agent/trusted_folder.h"

#include <cstdlib>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace tessera::agent {
namespace {

namespace fs = std::filesystem;

class TrustedFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tessera-trusted-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::create_directory(folder_ / "in");
    fs::create_symlink(folder_ / "in", folder_ / "link");
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(TrustedFolderTest, IsItsOwnersAlone) {
  EXPECT_TRUE(check_trusted(folder_ / "in"));
  EXPECT_TRUE(check_trusted(folder_ / "link"));
  EXPECT_FALSE(check_trusted(folder_ / "nowhere"));
  for (const auto open : {fs::perms::group_write, fs::perms::others_write}) {
    fs::permissions(folder_ / "in", fs::perms::owner_all | open);
    EXPECT_FALSE(check_trusted(folder_ / "in"));
    EXPECT_FALSE(check_trusted(folder_ / "link")) << "what it leads to counts";
  }
}

TEST_F(TrustedFolderTest, IsNoOtherUsers) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give it away";
  constexpr uid_t kBob = 54'323;
  ASSERT_EQ(chown((folder_ / "in").c_str(), kBob, static_cast<gid_t>(-1)), 0);
  EXPECT_FALSE(check_trusted(folder_ / "in"));
  EXPECT_FALSE(check_trusted(folder_ / "link"));
  ASSERT_EQ(chown((folder_ / "in").c_str(), 0, static_cast<gid_t>(-1)), 0);
  ASSERT_EQ(lchown((folder_ / "link").c_str(), kBob, static_cast<gid_t>(-1)), 0);
  EXPECT_FALSE(check_trusted(folder_ / "link")) << "he could have it lead elsewhere";
}

}  // namespace
}  // namespace tessera::agent
