#include "device/sharing/broker.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <grp.h>
#include <poll.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "guard/ledger.h"

namespace tessera::device::sharing {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kGpu = 0x1234'5679;
constexpr std::uint64_t kMiB = 1ULL << 20;

/// What a program of a tenant gets at the door.
struct Given {
  guard::Welcome welcome{};
  int limits_file = -1, accounts_file = -1;
  const guard::Limits* limits = nullptr;
  guard::Accounts* accounts = nullptr;
};

template <class Page>
Page* map(int file, int protection) {
  void* at = mmap(nullptr, sizeof(Page), protection, MAP_SHARED, file, 0);
  return at == MAP_FAILED ? nullptr : static_cast<Page*>(at);
}

Given knock(const std::string& path) {
  Given given;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return given;
  int files[2] = {-1, -1};
  iovec part{&given.welcome, sizeof(given.welcome)};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(files))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof(room);
  if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) == sizeof(given.welcome) &&
      CMSG_FIRSTHDR(&message) != nullptr)
    std::memcpy(files, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(files));
  close(connection);
  given.limits_file = files[0];
  given.accounts_file = files[1];
  given.limits = map<guard::Limits>(files[0], PROT_READ);
  given.accounts = map<guard::Accounts>(files[1], PROT_READ | PROT_WRITE);
  return given;
}

class BrokerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-broker-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Tenant tenant(const std::string& name, std::uint64_t memory = 100 * kMiB) const {
    return {folder_ + "/" + name, {}, {{kGpu, memory}}, {}};
  }
  /// True once it holds; false where it does not within a second.
  static bool within_a_second(const std::function<bool()>& condition) {
    for (const auto until = std::chrono::steady_clock::now() + 1s;
         std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(1ms))
      if (condition()) return true;
    return condition();
  }

  std::string folder_;
};

TEST_F(BrokerTest, lets_programs_in_and_shows_them_their_limit) {
  Broker broker;
  const auto vision = tenant("vision");
  ASSERT_TRUE(broker.add("vision", vision).has_value());
  const auto given = knock(vision.socket);
  ASSERT_NE(given.accounts, nullptr);
  EXPECT_EQ(std::memcmp(given.welcome.greeting, guard::kGreeting, sizeof(guard::kGreeting)), 0);
  EXPECT_EQ(given.limits->magic, guard::kLimitsMagic);
  guard::Ledger ledger(given.accounts, given.limits);
  ASSERT_TRUE(ledger.adopt(given.welcome.row));
  const auto slot = ledger.slot_of(kGpu);
  EXPECT_TRUE(ledger.reserve(slot, 60 * kMiB));
  EXPECT_FALSE(ledger.reserve(slot, 60 * kMiB));
  ledger.settle(slot, 60 * kMiB, 60 * kMiB);
  const auto use = broker.use_of("vision", kGpu);
  ASSERT_TRUE(use.has_value());
  EXPECT_EQ(use->memory_bytes, 60 * kMiB);
  EXPECT_EQ(use->programs, 1U);
  ASSERT_TRUE(broker.limit_memory("vision", kGpu, 200 * kMiB));
  EXPECT_TRUE(ledger.reserve(slot, 60 * kMiB));
  // A GPU that the tenant does not share has no memory for it.
  EXPECT_FALSE(ledger.reserve(ledger.slot_of(kGpu + 2), 1));
}

TEST_F(BrokerTest, keeps_limits_from_being_written_and_files_from_shrinking) {
  Broker broker;
  const auto vision = tenant("vision");
  ASSERT_TRUE(broker.add("vision", vision).has_value());
  const auto given = knock(vision.socket);
  EXPECT_EQ(map<guard::Limits>(given.limits_file, PROT_READ | PROT_WRITE), nullptr);
  const char byte = 1;
  EXPECT_EQ(pwrite(given.limits_file, &byte, 1, 0), -1);
  EXPECT_EQ(ftruncate(given.limits_file, 0), -1);
  EXPECT_EQ(ftruncate(given.accounts_file, 0), -1);
}

/// A program of another user at this door; its exit status: whether it was given files.
int knock_as(uid_t user, const std::string& path, gid_t group = 0) {
  const pid_t child = fork();
  if (child == 0) {
    if (group != 0 && setgroups(1, &group) != 0) _exit(9);
    if (setgid(user) != 0 || setuid(user) != 0) _exit(9);
    const auto given = knock(path);
    _exit(given.accounts != nullptr ? 0 : given.welcome.row == guard::kNotYours ? 1 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// What the umask allowed everybody could do: take a row, and with it a part of the memory.
TEST_F(BrokerTest, keeps_its_sockets_from_others_whatever_the_umask) {
  const auto before = umask(0);
  Broker broker;
  auto vision = tenant("vision");
  EXPECT_TRUE(broker.add("vision", vision).has_value());
  umask(before);
  struct stat status {};
  ASSERT_EQ(stat(vision.socket.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  vision.socket += "2";
  vision.group = getegid();
  ASSERT_TRUE(broker.add("shared", vision).has_value());
  ASSERT_EQ(stat(vision.socket.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0660U);
}

TEST_F(BrokerTest, is_the_first_users_alone_of_a_group) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can come as others";
  constexpr gid_t kGroup = 54'321;
  constexpr uid_t kAlice = 54'322, kBob = 54'323, kStranger = 54'324;
  std::filesystem::permissions(folder_, std::filesystem::perms(0755));
  Broker broker;
  auto vision = tenant("vision");
  vision.group = kGroup;
  ASSERT_TRUE(broker.add("vision", vision).has_value());
  EXPECT_EQ(knock_as(kStranger, vision.socket), 2) << "the kernel lets nobody else in";
  EXPECT_EQ(knock_as(kAlice, vision.socket, kGroup), 0);
  EXPECT_EQ(knock_as(kBob, vision.socket, kGroup), 1) << "it is somebody's already";
  EXPECT_EQ(knock_as(kAlice, vision.socket, kGroup), 0);
  EXPECT_NE(knock(vision.socket).accounts, nullptr) << "the node's own user may always";
}

TEST_F(BrokerTest, takes_back_the_row_of_a_killed_program_at_once) {
  Broker broker;
  const auto vision = tenant("vision");
  ASSERT_TRUE(broker.add("vision", vision).has_value());
  const pid_t child = fork();
  if (child == 0) {
    const auto given = knock(vision.socket);
    guard::Ledger ledger(given.accounts, given.limits);
    if (given.accounts == nullptr || !ledger.adopt(given.welcome.row)) _exit(1);
    if (!ledger.reserve(ledger.slot_of(kGpu), 70 * kMiB)) _exit(2);
    pause();
  }
  const auto used = [&] { return broker.use_of("vision", kGpu)->memory_bytes; };
  EXPECT_TRUE(within_a_second([&] { return used() == 70 * kMiB; }));
  kill(child, SIGKILL);
  EXPECT_TRUE(within_a_second([&] { return used() == 0; }));
  EXPECT_EQ(broker.use_of("vision", kGpu)->programs, 0U);
  waitpid(child, nullptr, 0);
}

// Who comes under the number of one who has just ended came to his row, and lost it with him.
TEST_F(BrokerTest, lets_out_who_has_ended_before_the_next_comes_in) {
  const std::array<GpuShare, 1> gpus = {GpuShare{kGpu, 100 * kMiB}};
  auto pages = *TenantPages::make(gpus);
  const auto path = folder_ + "/door";
  auto door = *Door::open(path);
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(knock(path).accounts == nullptr ? 1 : 0);
    std::vector<int> files;
    door.watch(files, Door::Time());
    pollfd polled{files.front(), POLLIN, 0};
    ASSERT_EQ(poll(&polled, 1, 20'000), 1);
    door.attend(pages, Door::Time());
    EXPECT_EQ(door.programs(), 1U);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
}

/// Comes to the door and reads nothing; -1: cannot.
int knock_and_stay(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0)
    return connection;
  close(connection);
  return -1;
}

// Every connection was answered at once and woke the gates: one tenant's programs kept the broker
// busy, and the files in answers that nobody reads count against all that it may send.
TEST_F(BrokerTest, a_tenant_that_comes_without_end_does_not_hold_up_others) {
  Broker broker;
  const auto vision = tenant("vision");
  const auto speech = tenant("speech");
  const auto flood = tenant("flood");
  ASSERT_TRUE(broker.add("vision", vision).has_value());
  ASSERT_TRUE(broker.add("speech", speech).has_value());
  auto elsewhere = flood;
  elsewhere.gpus = {{kGpu + 2, kMiB}};
  ASSERT_TRUE(broker.add("flood", elsewhere).has_value());
  const auto first = knock(vision.socket), second = knock(speech.socket);
  ASSERT_TRUE(first.accounts != nullptr && second.accounts != nullptr);
  first.accounts->progress[first.welcome.row][0].waiting = 1;
  second.accounts->progress[second.welcome.row][0].waiting = 1;
  std::atomic<unsigned> came = 0;
  const auto begun = std::chrono::steady_clock::now();
  std::jthread flooding([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const int connection = knock_and_stay(elsewhere.socket);
      if (connection < 0) continue;
      ++came;
      close(connection);
    }
  });
  const auto gate = [&] { return first.limits->gpu[0].gate.load(); };
  for (int turn = 0; turn < 5; ++turn) {
    EXPECT_TRUE(within_a_second([&] { return gate() == guard::kGateClosed; }));
    EXPECT_TRUE(within_a_second([&] { return gate() == guard::kGateBounded; }));
  }
  const auto asked = std::chrono::steady_clock::now();
  EXPECT_NE(knock(vision.socket).accounts, nullptr);
  EXPECT_LT(std::chrono::steady_clock::now() - asked, 1s);
  constexpr unsigned kInTheKernel = 70;
  EXPECT_LE(came.load(),
            (std::chrono::steady_clock::now() - begun) / Broker::kBetweenRounds + kInTheKernel);
}

TEST_F(BrokerTest, answers_no_more_than_a_few_who_do_not_read) {
  const std::array<GpuShare, 1> gpus = {GpuShare{kGpu, 100 * kMiB}};
  auto pages = *TenantPages::make(gpus);
  const auto path = folder_ + "/door";
  auto door = *Door::open(path);
  std::vector<int> silent;
  for (int i = 0; i < 40; ++i) silent.push_back(knock_and_stay(path));
  const auto answered = [&] {
    return static_cast<std::size_t>(std::ranges::count_if(silent, [](int connection) {
      pollfd one{connection, POLLIN, 0};
      return poll(&one, 1, 0) == 1;
    }));
  };
  Door::Time now{};
  for (int i = 0; i < 100; ++i) door.attend(pages, now += 30ms);
  EXPECT_EQ(answered(), Door::kMostUnread);
  std::vector<int> files;
  door.watch(files, now);
  EXPECT_EQ(files.size(), door.programs()) << "it rests, or would be called without end";
  // Who goes, or reads, makes room for the next.
  for (int i = 0; i < 4; ++i) close(silent[static_cast<std::size_t>(i)]);
  silent.erase(silent.begin(), silent.begin() + 4);
  for (int i = 0; i < 100; ++i) door.attend(pages, now += 30ms);
  EXPECT_EQ(answered(), Door::kMostUnread);
  for (const int connection : silent) close(connection);
}

// A connection that cannot be taken stays readable: the broker asked for it again without a pause.
TEST_F(BrokerTest, rests_when_no_file_is_left) {
  const std::array<GpuShare, 1> gpus = {GpuShare{kGpu, 100 * kMiB}};
  auto pages = *TenantPages::make(gpus);
  const auto path = folder_ + "/door";
  auto door = *Door::open(path);
  const int waiting = knock_and_stay(path);
  ASSERT_GE(waiting, 0);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int next = dup(waiting);
  close(next);
  const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const Door::Time now{1h};
  EXPECT_FALSE(door.attend(pages, now));
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(door.refusals(), 1U);
  std::vector<int> files;
  door.watch(files, now);
  EXPECT_TRUE(files.empty());
  EXPECT_EQ(door.rests_until(now), now + Door::kRest);
  EXPECT_TRUE(door.attend(pages, now + Door::kRest)) << "and then it is let in";
  close(waiting);
}

TEST_F(BrokerTest, holds_no_more_files_than_its_part) {
  const std::array<GpuShare, 1> gpus = {GpuShare{kGpu, 100 * kMiB}};
  auto pages = *TenantPages::make(gpus);
  const auto path = folder_ + "/door";
  auto door = *Door::open(path);
  door.limit_programs(2);
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    children.push_back(fork());
    if (children.back() == 0) {
      const auto given = knock(path);
      _exit(given.accounts == nullptr ? 1 : pause());
    }
    std::vector<int> files;
    Door::Time now{1h * i};
    door.watch(files, now);
    pollfd polled{files.front(), POLLIN, 0};
    ASSERT_EQ(poll(&polled, 1, 20'000), 1);
    door.attend(pages, now);
  }
  EXPECT_EQ(door.programs(), 2U);
  EXPECT_EQ(door.refusals(), 1U);
  for (const auto child : children) kill(child, SIGKILL);
  for (const auto child : children) waitpid(child, nullptr, 0);
}

/// Makes the next process have this number; false where that cannot be told the kernel.
bool number_next(pid_t pid) {
  std::ofstream file("/proc/sys/kernel/ns_last_pid");
  file << pid - 1 << std::flush;
  return static_cast<bool>(file);
}

// Between a connection and a look at its process the number could become another process's, which
// was then given the row.
TEST_F(BrokerTest, a_number_that_was_used_again_is_given_no_row) {
  const std::array<GpuShare, 1> gpus = {GpuShare{kGpu, 100 * kMiB}};
  auto pages = *TenantPages::make(gpus);
  const auto path = folder_ + "/door";
  auto door = *Door::open(path);
  // A child of the one that has come keeps the connection open beyond his end.
  int done[2];
  ASSERT_EQ(pipe(done), 0);
  const pid_t comes = fork();
  if (comes == 0) {
    const int connection = knock_and_stay(path);
    if (fork() != 0) _exit(connection >= 0 ? 0 : 1);
    close(done[1]);
    char byte = 0;
    _exit(read(done[0], &byte, 1) == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(comes, &status, 0);
  ASSERT_EQ(status, 0);
  pid_t other = -1;
  for (int i = 0; i < 20 && other != comes; ++i) {
    if (!number_next(comes)) break;
    other = fork();
    if (other == 0) _exit(pause());
    if (other == comes) break;
    kill(other, SIGKILL);
    waitpid(other, nullptr, 0);
  }
  if (other == comes) {
    EXPECT_FALSE(door.attend(pages, Door::Time(1h)));
    EXPECT_FALSE(door.has_let_in(static_cast<std::uint32_t>(comes)));
    kill(other, SIGKILL);
    waitpid(other, nullptr, 0);
  }
  close(done[1]);
  close(done[0]);
  if (other != comes) GTEST_SKIP() << "numbers cannot be chosen here";
}

TEST_F(BrokerTest, gives_a_program_its_own_row_again_after_an_exec) {
  Broker broker;
  const auto vision = tenant("vision");
  ASSERT_TRUE(broker.add("vision", vision).has_value());
  const auto before = knock(vision.socket);
  before.accounts->charge[0][before.welcome.row] = kMiB;
  const auto after = knock(vision.socket);
  EXPECT_EQ(before.welcome.row, after.welcome.row);
  EXPECT_EQ(broker.use_of("vision", kGpu)->memory_bytes, 0U);
  EXPECT_EQ(broker.use_of("vision", kGpu)->programs, 1U);
}

TEST_F(BrokerTest, refuses_what_cannot_be) {
  Broker broker;
  ASSERT_TRUE(broker.add("vision", tenant("vision")).has_value());
  EXPECT_FALSE(broker.add("vision", tenant("other")).has_value());
  EXPECT_FALSE(broker.add("speech", tenant("no/such/folder")).has_value());
  EXPECT_FALSE(broker.add("speech", tenant(std::string(200, 'x'))).has_value());
  auto weightless = tenant("speech");
  weightless.terms.weight = 0;
  EXPECT_FALSE(broker.add("speech", weightless).has_value());
  EXPECT_FALSE(broker.change("nobody", {}));
  EXPECT_FALSE(broker.limit_memory("vision", kGpu + 2, 1));
  EXPECT_FALSE(broker.use_of("nobody", kGpu).has_value());
}

TEST_F(BrokerTest, moves_the_gates_while_tenants_contend_and_opens_them_at_the_end) {
  auto broker = std::make_unique<Broker>();
  const auto vision = tenant("vision");
  const auto speech = tenant("speech");
  ASSERT_TRUE(broker->add("vision", vision).has_value());
  ASSERT_TRUE(broker->add("speech", speech).has_value());
  const auto first = knock(vision.socket);
  const auto gate = [&] { return first.limits->gpu[0].gate.load(); };
  EXPECT_EQ(gate(), guard::kGateOpen);
  const auto second = knock(speech.socket);
  EXPECT_TRUE(within_a_second([&] { return gate() == guard::kGateBounded; }));
  // Both want it for ever.
  first.accounts->progress[first.welcome.row][0].waiting = 1;
  second.accounts->progress[second.welcome.row][0].waiting = 1;
  EXPECT_TRUE(within_a_second([&] { return gate() == guard::kGateClosed; }));
  EXPECT_TRUE(within_a_second([&] { return gate() == guard::kGateBounded; }));
  EXPECT_TRUE(within_a_second([&] { return gate() == guard::kGateClosed; }));
  broker->remove("speech");
  EXPECT_TRUE(within_a_second([&] { return gate() == guard::kGateOpen; }));
  EXPECT_EQ(second.limits->gpu[0].gate, guard::kGateOpen);
  broker.reset();
  EXPECT_FALSE(std::filesystem::exists(vision.socket));
}

}  // namespace
}  // namespace tessera::device::sharing
