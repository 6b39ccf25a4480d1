#include "agent/brokered_shares.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <grp.h>
#include <type_traits>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/test_bench.h"
#include "guard/ledger.h"
#include "guard/region.h"

namespace tessera::agent {
namespace {

using base::MiB;
using base::MilliShare;
using fleet::LeaseId;

constexpr const char* kGpu = "GPU-01234567-89ab-cdef-0123-456789abcdef";
constexpr const char* kOther = "GPU-11234567-89ab-cdef-0123-456789abcdef";

class BrokeredSharesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-shares-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    shares_ = std::make_unique<BrokeredShares>(folder_ + "/node");
  }
  void TearDown() override {
    shares_.reset();
    std::filesystem::remove_all(folder_);
  }

  static GuardedShare share(std::uint64_t lease, int mib, const char* gpu = kGpu) {
    return {.lease = LeaseId(lease),
            .gpu = gpu,
            .memory = MiB(mib),
            .compute = MilliShare(250),
            .latency_critical = false,
            .processes = {}};
  }
  static device::Process process(std::uint32_t pid, int mib) {
    return {.pid = pid, .device = kGpu, .memory = MiB(mib), .tenant = LeaseId(1)};
  }
  std::string socket_of(std::uint64_t lease) const {
    return BrokeredShares::socket_of(folder_ + "/node", LeaseId(lease));
  }

  template <class Page>
  static std::shared_ptr<Page> map(int file, int protection) {
    void* at = mmap(nullptr, sizeof(Page), protection, MAP_SHARED, file, 0);
    if (at == MAP_FAILED) return nullptr;
    return {static_cast<Page*>(at),
            [](Page* page) { munmap(const_cast<std::remove_const_t<Page>*>(page), sizeof(Page)); }};
  }

  /// What a program of the lease is told: its limits; its accounts are kept, and its row. nullptr:
  /// nobody answers.
  std::shared_ptr<const guard::Limits> ask(std::uint64_t lease) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_of(lease).copy(address.sun_path, sizeof(address.sun_path) - 1);
    const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{5, 0};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    int files[2] = {-1, -1};
    guard::Welcome welcome{};
    if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      iovec part{&welcome, sizeof(welcome)};
      alignas(cmsghdr) char room[CMSG_SPACE(sizeof(files))]{};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = room;
      message.msg_controllen = sizeof(room);
      if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) == sizeof(welcome) &&
          CMSG_FIRSTHDR(&message) != nullptr)
        std::memcpy(files, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(files));
    }
    close(connection);
    if (files[0] < 0) return nullptr;
    auto limits = map<const guard::Limits>(files[0], PROT_READ);
    accounts_ = map<guard::Accounts>(files[1], PROT_READ | PROT_WRITE);
    row_ = welcome.row;
    for (const int file : files) close(file);
    return limits;
  }

  std::shared_ptr<guard::Accounts> accounts_;
  unsigned row_ = 0;
  std::string folder_;
  std::unique_ptr<BrokeredShares> shares_;
};

TEST_F(BrokeredSharesTest, TenantsComeAndGoWithTheirLeases) {
  EXPECT_TRUE(shares_->keep({share(1, 1024), share(2, 2048)}).empty());
  const auto first = ask(1), second = ask(2);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->gpu[0].memory, 1024ULL << 20);
  EXPECT_EQ(second->gpu[0].memory, 2048ULL << 20);
  EXPECT_EQ(first->gpu[1].memory, 0U) << "of another GPU it has nothing";
  EXPECT_TRUE(shares_->keep({share(2, 2048)}).empty());
  EXPECT_FALSE(std::filesystem::exists(socket_of(1)));
  EXPECT_TRUE(ask(2));
  EXPECT_TRUE(shares_->keep({}).empty());
  EXPECT_FALSE(std::filesystem::exists(socket_of(2)));
}

TEST_F(BrokeredSharesTest, TheSameAgainChangesNothing) {
  shares_->keep({share(1, 1024)});
  const auto limits = ask(1);
  for (int i = 0; i < 3; ++i) shares_->keep({share(1, 1024)});
  ASSERT_EQ(shares_->use().size(), 1U);
  EXPECT_EQ(shares_->use()[0].programs, 1U) << "it is still the account that it came to";
}

TEST_F(BrokeredSharesTest, AShareThatGrowsGrowsForProgramsThatRun) {
  shares_->keep({share(1, 1024)});
  const auto limits = ask(1);
  ASSERT_TRUE(limits);
  shares_->keep({share(1, 4096)});
  EXPECT_EQ(limits->gpu[0].memory, 4096ULL << 20);
}

// No share could be latency-critical: the class was never told the broker.
TEST_F(BrokeredSharesTest, ALatencyCriticalShareIsNeverHeldUp) {
  auto critical = share(1, 1024);
  critical.latency_critical = true;
  shares_->keep({critical, share(2, 1024)});
  const auto first = ask(1);
  const auto account_of_first = accounts_;
  const auto row_of_first = row_;
  const auto second = ask(2);
  ASSERT_TRUE(first && second);
  account_of_first->progress[row_of_first][0].waiting = 1;
  accounts_->progress[row_][0].waiting = 1;
  const auto comes_to = [](const guard::Limits& limits, guard::Gate gate) {
    for (int i = 0; i < 1'000 && limits.gpu[0].gate != gate; ++i) usleep(1'000);
    return limits.gpu[0].gate == gate;
  };
  EXPECT_TRUE(comes_to(*second, guard::kGateClosed));
  EXPECT_EQ(first->gpu[0].gate, guard::kGateCounted);
  // And also from the next moment on, where a tier has changed.
  shares_->keep({share(1, 1024), share(2, 1024)});
  EXPECT_TRUE(comes_to(*first, guard::kGateClosed));
}

TEST_F(BrokeredSharesTest, SeveralGpusAreOneTenantAndTwoSharesOfOneAddUp) {
  shares_->keep({share(1, 1024), share(1, 512, kOther), share(1, 1024)});
  const auto limits = ask(1);
  ASSERT_TRUE(limits);
  EXPECT_EQ(limits->gpu[0].memory, 2048ULL << 20);
  EXPECT_EQ(limits->gpu[1].memory, 512ULL << 20);
}

TEST_F(BrokeredSharesTest, WhatRunsOutsideTheAccountIsTakenOffTheRest) {
  auto wanted = share(1, 1024);
  const auto outsider = static_cast<std::uint32_t>(getppid());
  wanted.processes = {process(outsider, 600)};
  shares_->keep({wanted});
  const auto limits = ask(1);
  ASSERT_TRUE(limits);
  EXPECT_EQ(limits->gpu[0].memory, 424ULL << 20);
  EXPECT_EQ(shares_->use()[0].outside, MiB(600));
  // This process has a row: what it uses is in the account already.
  wanted.processes = {process(static_cast<std::uint32_t>(getpid()), 600)};
  shares_->keep({wanted});
  EXPECT_EQ(limits->gpu[0].memory, 1024ULL << 20);
  wanted.processes = {process(outsider, 2000)};
  shares_->keep({wanted});
  EXPECT_EQ(limits->gpu[0].memory, 0U);
}

// The driver's list is older than the end of a program: for a moment its memory was taken off what
// the lease's other programs may have, who were refused memory.
TEST_F(BrokeredSharesTest, AProgramThatHasEndedTakesNothingOffTheRest) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  auto wanted = share(1, 1024);
  wanted.processes = {process(static_cast<std::uint32_t>(child), 600)};
  shares_->keep({wanted});
  const auto limits = ask(1);
  ASSERT_TRUE(limits);
  EXPECT_EQ(limits->gpu[0].memory, 1024ULL << 20);
}

// Who had come to the socket was believed to be charged for all that he took.
TEST_F(BrokeredSharesTest, WhatAProgramTakesBeyondItsAccountIsTakenOffTheRest) {
  shares_->keep({share(1, 4096)});
  const auto limits = ask(1);
  ASSERT_TRUE(limits && accounts_);
  const auto self = static_cast<std::uint32_t>(getpid());
  auto wanted = share(1, 4096);
  wanted.processes = {process(self, 1024)};
  shares_->keep({wanted});
  EXPECT_EQ(limits->gpu[0].memory, 4096ULL << 20) << "that may be its context";
  wanted.processes = {process(self, 1024 + 700)};
  shares_->keep({wanted});
  EXPECT_EQ(limits->gpu[0].memory, (4096ULL - 700) << 20);
  EXPECT_EQ(shares_->use()[0].outside, MiB(700));
  accounts_->charge[0][row_] = 500ULL << 20;
  shares_->keep({wanted});
  EXPECT_EQ(limits->gpu[0].memory, (4096ULL - 200) << 20);
}

// Its account began anew, and what its programs held on to was given out a second time.
TEST_F(BrokeredSharesTest, ALeaseThatComesToOtherGpusKeepsItsPrograms) {
  shares_->keep({share(1, 1024)});
  ASSERT_TRUE(ask(1));
  auto wanted = share(1, 1024);
  const auto self = static_cast<std::uint32_t>(getpid());
  wanted.processes = {process(self, 600)};
  shares_->keep({wanted, share(1, 1024, kOther)});
  EXPECT_EQ(shares_->lease_of(self), LeaseId(1));
  EXPECT_EQ(shares_->use()[0].outside, MiB(600));
  shares_->keep({share(2, 1024)});
  const auto limits = ask(2);
  EXPECT_EQ(shares_->lease_of(self), LeaseId(2)) << "it has come to another lease since";
}

/// A program of another user comes to the socket; 0: it was let in, 1: it is told that it is
/// another's.
int come_as(uid_t user, gid_t group, const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(1, &group) != 0 || setgid(user) != 0 || setuid(user) != 0) _exit(9);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    guard::Welcome welcome{};
    if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        read(connection, &welcome, sizeof(welcome)) != sizeof(welcome))
      _exit(8);
    _exit(welcome.row == guard::kNotYours ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The next agent let in whoever came first to it.
TEST_F(BrokeredSharesTest, WhoseALeaseIsIsKnownToTheNextAgent) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can come as others";
  constexpr gid_t kGroup = 54'321;
  constexpr uid_t kAlice = 54'322, kBob = 54'323;
  std::filesystem::permissions(folder_, std::filesystem::perms(0755));
  const auto begin = [&] {
    shares_.reset();
    shares_ = std::make_unique<BrokeredShares>(folder_ + "/node", kGroup);
    shares_->keep({share(1, 1024), share(2, 1024)});
  };
  begin();
  EXPECT_EQ(come_as(kAlice, kGroup, socket_of(1)), 0);
  shares_->keep({share(1, 1024), share(2, 1024)});
  begin();
  EXPECT_EQ(come_as(kBob, kGroup, socket_of(1)), 1) << "it is somebody's already";
  EXPECT_EQ(come_as(kAlice, kGroup, socket_of(1)), 0);
  EXPECT_EQ(come_as(kBob, kGroup, socket_of(2)), 0) << "to that one nobody had come";
  // Also where the account begins anew, and not beyond the lease's end.
  shares_->keep({share(1, 1024, kOther)});
  EXPECT_EQ(come_as(kBob, kGroup, socket_of(1)), 1);
  shares_->keep({});
  shares_->keep({share(1, 1024)});
  EXPECT_EQ(come_as(kBob, kGroup, socket_of(1)), 0);
}

TEST_F(BrokeredSharesTest, WhoseAProgramIsIsKnownByTheDoorItCameTo) {
  shares_->keep({share(7, 1024), share(12, 1024)});
  const auto self = static_cast<std::uint32_t>(getpid());
  EXPECT_FALSE(shares_->lease_of(self).valid());
  ASSERT_TRUE(ask(12));
  EXPECT_EQ(shares_->lease_of(self), LeaseId(12));
  shares_->keep({share(7, 1024)});
  EXPECT_FALSE(shares_->lease_of(self).valid());
}

// Where no control group could be made, the next agent gave the lease its memory a second time.
TEST_F(BrokeredSharesTest, ProgramsOfTheAgentBeforeAreStillKnown) {
  const auto self = static_cast<std::uint32_t>(getpid());
  shares_->keep({share(12, 1024)});
  ASSERT_TRUE(ask(12));
  shares_->keep({share(12, 1024)});
  std::filesystem::copy(folder_ + "/node/programs", folder_ + "/programs");
  // As if it were killed: what it left is put back.
  shares_.reset();
  std::filesystem::rename(folder_ + "/programs", folder_ + "/node/programs");
  shares_ = std::make_unique<BrokeredShares>(folder_ + "/node");
  EXPECT_EQ(shares_->lease_of(self), LeaseId(12));
  auto wanted = share(12, 1024);
  wanted.processes = {process(self, 600)};
  shares_->keep({wanted});
  EXPECT_EQ(shares_->use()[0].outside, MiB(600));
  EXPECT_EQ(shares_->lease_of(self), LeaseId(12)) << "also once this agent has written its own";
  shares_ = std::make_unique<BrokeredShares>(folder_ + "/node");
  EXPECT_EQ(shares_->lease_of(self), LeaseId(12));
}

TEST_F(BrokeredSharesTest, GarbageAmongTheProgramsOfTheAgentBeforeIsNobodys) {
  std::filesystem::create_directories(folder_ + "/node");
  const auto self = static_cast<std::uint32_t>(getpid());
  std::ofstream(folder_ + "/node/programs")
      << "12 99999999999999999999\nno\n\n7\n-1 x\n9 " << guard::identity_of(self) << "\n3";
  const BrokeredShares shares(folder_ + "/node");
  EXPECT_EQ(shares.lease_of(self), LeaseId(9)) << "the line in order is read all the same";
  EXPECT_FALSE(shares.lease_of(static_cast<std::uint32_t>(getppid())).valid());
}

// The second agent took the sockets of the first away; lease 1 of the one was held to the share of
// lease 1 of the other.
TEST_F(BrokeredSharesTest, TwoAgentsDoNotShareAFolder) {
  EXPECT_TRUE(shares_->keep({share(1, 1024)}).empty());
  BrokeredShares second(folder_ + "/node");
  const auto trouble = second.keep({share(1, 2048)});
  ASSERT_TRUE(trouble.contains(LeaseId(1)));
  EXPECT_NE(trouble.at(LeaseId(1)).find("another agent"), std::string::npos);
  EXPECT_EQ(ask(1)->gpu[0].memory, 1024ULL << 20);
  shares_.reset();
  EXPECT_TRUE(second.keep({share(1, 2048)}).empty());
  EXPECT_EQ(ask(1)->gpu[0].memory, 2048ULL << 20);
}

TEST_F(BrokeredSharesTest, AFolderThatOthersWriteToIsNotUsed) {
  namespace fs = std::filesystem;
  fs::create_directories(folder_ + "/node");
  fs::permissions(folder_ + "/node", fs::perms::all);
  const auto trouble = shares_->keep({share(1, 1024)});
  ASSERT_TRUE(trouble.contains(LeaseId(1)));
  EXPECT_NE(trouble.at(LeaseId(1)).find("others may write to it"), std::string::npos);
  fs::permissions(folder_ + "/node", fs::perms::owner_all);
  EXPECT_TRUE(shares_->keep({share(1, 1024)}).empty());
}

TEST_F(BrokeredSharesTest, WhoCannotBeHeldIsTold) {
  BrokeredShares nowhere("/proc/no-folder");
  const auto trouble = nowhere.keep({share(3, 1024)});
  ASSERT_TRUE(trouble.contains(LeaseId(3)));
  EXPECT_NE(trouble.at(LeaseId(3)).find("/proc/no-folder"), std::string::npos);
  EXPECT_FALSE(shares_->keep({share(3, 1024, "no GPU")}).empty());
}

/// Remembers what it was told, and can say no.
struct Keeper : ShareKeeper {
  std::map<LeaseId, std::string> keep(const std::vector<GuardedShare>& shares) override {
    kept = shares;
    return trouble;
  }
  std::vector<ShareUse> use() const override { return {}; }
  LeaseId lease_of(std::uint32_t /*pid*/) const override { return {}; }
  std::vector<GuardedShare> kept;
  std::map<LeaseId, std::string> trouble;
};

fleet::TargetSlice target(std::uint64_t lease, catalog::Isolation isolation,
                          fleet::SlicePhase phase = fleet::SlicePhase::kInUse) {
  return {fleet::ShareSlice{MiB(1024), MilliShare(250), 1, 8, isolation}, lease, phase,
          LeaseId(lease)};
}

TEST(SharesOfAnAgent, ItKeepsWhatIsLimitedUntilItIsFree) {
  Bench bench;
  Keeper keeper;
  bench.agent_->hold_to_shares(keeper);
  bench.want(false, {target(1, catalog::Isolation::kLimited, fleet::SlicePhase::kPreparing),
                     target(2, catalog::Isolation::kLimited, fleet::SlicePhase::kScrubbing)});
  bench.run(std::chrono::seconds(5));
  ASSERT_EQ(keeper.kept.size(), 2U);
  EXPECT_EQ(keeper.kept[0].gpu, bench.gpu().uuid);
  bench.start(bench.gpu().uuid, 1);
  bench.run(std::chrono::seconds(2));
  ASSERT_EQ(keeper.kept[0].processes.size(), 1U);
  EXPECT_EQ(keeper.kept[0].processes[0].memory, MiB(512));
  EXPECT_TRUE(keeper.kept[1].processes.empty()) << "another lease's";
  bench.want(false, {target(3, catalog::Isolation::kShared)});
  bench.run(std::chrono::seconds(2));
  EXPECT_TRUE(keeper.kept.empty());
}

TEST(SharesOfAnAgent, WhoIsLatencyCriticalIsTold) {
  Bench bench;
  Keeper keeper;
  bench.agent_->hold_to_shares(keeper);
  auto slice = target(1, catalog::Isolation::kLimited);
  std::get<fleet::ShareSlice>(slice.shape).latency_critical = true;
  bench.want(false, {slice, target(2, catalog::Isolation::kLimited)});
  bench.run(std::chrono::seconds(2));
  ASSERT_EQ(keeper.kept.size(), 2U);
  EXPECT_TRUE(keeper.kept[0].latency_critical);
  EXPECT_FALSE(keeper.kept[1].latency_critical);
}

TEST(SharesOfAnAgent, AShareThatNobodyIsHeldToIsNotReady) {
  Bench bench;
  Keeper keeper;
  keeper.trouble[LeaseId(1)] = "no folder";
  bench.agent_->hold_to_shares(keeper);
  bench.want(false, {target(1, catalog::Isolation::kLimited, fleet::SlicePhase::kPreparing)});
  bench.run(std::chrono::seconds(5));
  EXPECT_EQ(bench.told_slice().status, fleet::SliceStatus::kPending);
  EXPECT_EQ(bench.told_slice().detail, "no folder");
  keeper.trouble.clear();
  bench.run(std::chrono::seconds(5));
  EXPECT_EQ(bench.told_slice().status, fleet::SliceStatus::kReady);
}

}  // namespace
}  // namespace tessera::agent
