// What is missing or wrong: one line says so, and nothing is allowed that should not be.

#include "guard/settings.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "rig.h"

namespace tessera::guard::test {
namespace {

class SettingsTest : public Rig {
 protected:
  /// What cuInit answers, and the one line on standard error.
  void expect(const Environment& environment, cuda::Result result, const std::string& part) {
    const auto lines = machine() + ".err";
    expect_well(start(environment, [&](const Library& cuda) {
      ASSERT_NE(std::freopen(lines.c_str(), "w", stderr), nullptr);
      EXPECT_EQ(cuda("cuInit", 0U), result);
      EXPECT_EQ(cuda("cuInit", 0U), result);
      if (result == cuda::kSuccess) return;
      cuda::DevicePtr pointer = 0;
      EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{1}), result);
    }));
    std::ifstream file(lines);
    std::stringstream all;
    all << file.rdbuf();
    const auto text = all.str();
    EXPECT_NE(text.find(part), std::string::npos) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  }
};

TEST_F(SettingsTest, wrong_ones_allow_nothing) {
  expect({{"TESSERA_GUARD_MEMORY", "lots"}}, cuda::kSystemNotReady, "TESSERA_GUARD_MEMORY");
  expect({{"TESSERA_GUARD_MEMORY", "-1"}}, cuda::kSystemNotReady, "TESSERA_GUARD_MEMORY");
  expect({{"TESSERA_GUARD_MEMORY", ""}}, cuda::kSystemNotReady, "TESSERA_GUARD_MEMORY");
  expect({{"TESSERA_GUARD_COMPUTE", "0"}}, cuda::kSystemNotReady, "TESSERA_GUARD_COMPUTE");
  expect({{"TESSERA_GUARD_COMPUTE", "101"}}, cuda::kSystemNotReady, "TESSERA_GUARD_COMPUTE");
  expect({{"TESSERA_GUARD_SOCKET", std::string(500, 'x')}}, cuda::kSystemNotReady,
         "TESSERA_GUARD_SOCKET");
}

TEST_F(SettingsTest, without_the_driver_there_is_no_device) {
  expect({{"TESSERA_GUARD_CUDA", "/nowhere/libcuda.so.1"}}, cuda::kNoDevice, "cannot open");
  expect({{"TESSERA_GUARD_CUDA", "libm.so.6"}}, cuda::kNoDevice, "no cuInit");
  expect({{"TESSERA_GUARD_CUDA", TESSERA_GUARD}}, cuda::kNoDevice, "the guard itself");
}

TEST_F(SettingsTest, without_the_agent_nothing_is_allowed) {
  expect({{"TESSERA_GUARD_SOCKET", machine() + ".socket"}}, cuda::kSystemNotReady, "no agent");
}

/// Listens, and answers one connection with this text.
void answer_once(const std::string& path, const std::string& text) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listening, 1), 0);
  std::thread([listening, text] {
    const int connection = accept(listening, nullptr, nullptr);
    EXPECT_EQ(send(connection, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
    close(connection);
    close(listening);
  }).detach();
}

TEST_F(SettingsTest, what_is_no_agent_allows_nothing) {
  unsigned number = 0;
  for (const std::string text : {"", "HTTP/1.1 400 Bad Request\r\n\r\n", "tessera1    "}) {
    const auto path = machine() + ".socket" + std::to_string(++number);
    answer_once(path, text);
    expect({{"TESSERA_GUARD_SOCKET", path}}, cuda::kSystemNotReady, "no agent of this version");
  }
}

TEST_F(SettingsTest, accounts_that_are_something_else_are_left_alone) {
  std::ofstream(account()) << std::string(1 << 20, 'x');
  expect(limited("1GiB"), cuda::kSystemNotReady, "no accounts");
  std::filesystem::resize_file(account(), 7);
  expect(limited("1GiB"), cuda::kSystemNotReady, "no accounts");
}

TEST_F(SettingsTest, garbage_in_the_rows_ends_nothing) {
  run(limited("1GiB"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    cuda::DevicePtr pointer = 0;
    EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{kMiB}), cuda::kSuccess);
    auto page = map_accounts();
    page->rows_used = 0xffff'ffff;
    page->charge[0][200] = ~0ULL - 5;
    page->owner[200] = ~0ULL - 2;
    std::size_t free = 1;
    std::size_t total = 0;
    EXPECT_EQ(cuda("cuMemGetInfo_v2", &free, &total), cuda::kSuccess);
    EXPECT_EQ(free, 0U);
    // The row's owner is no process: it is cleared when the limit seems to be reached.
    EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{kMiB}), cuda::kSuccess);
    EXPECT_EQ(charge(), 2 * kMiB);
  });
}

TEST_F(SettingsTest, a_limit_of_zero_allows_no_memory) {
  run(limited("0"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    cuda::DevicePtr pointer = 0;
    std::size_t free = 1;
    std::size_t total = 1;
    EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{1}), cuda::kOutOfMemory);
    EXPECT_EQ(cuda("cuMemGetInfo_v2", &free, &total), cuda::kSuccess);
    EXPECT_EQ(free, 0U);
    EXPECT_EQ(total, 0U);
  });
}

TEST_F(SettingsTest, a_program_lives_on_without_its_first_thread) {
  const pid_t child = fork();
  if (child == 0) {
    std::thread([] { pause(); }).detach();
    syscall(SYS_exit, 0);
  }
  const auto pid = static_cast<std::uint32_t>(child);
  const auto state = [&] {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string number;
    std::string name;
    std::string letter;
    file >> number >> name >> letter;
    return letter;
  };
  for (int i = 0; i < 1'000 && state() != "Z"; ++i) usleep(1'000);
  ASSERT_EQ(state(), "Z");
  EXPECT_NE(identity_of(pid), 0U);
  kill(child, SIGKILL);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(identity_of(pid), 0U);
  waitpid(child, nullptr, 0);
}

// Where no file was left to look with, everybody counted as gone: rows of programs that live were
// cleared, and their memory given out again.
TEST_F(SettingsTest, who_cannot_be_looked_at_has_not_ended) {
  const auto parent = static_cast<std::uint32_t>(getppid());
  const auto identity = identity_of(parent);
  ASSERT_NE(identity, 0U);
  EXPECT_FALSE(has_ended(identity));
  EXPECT_TRUE(has_ended(identity ^ 1ULL << 40)) << "another one has its number";
  auto accounts = std::make_unique<Accounts>();
  accounts->rows_used = 1;
  accounts->owner[0] = identity | 1;
  accounts->charge[0][0] = 7;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto seen = identity_of(parent);
  const bool ended = has_ended(identity), ended_by_number = has_ended_by_number(parent);
  const auto cleared = clear_the_dead(*accounts);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(seen, 0U);
  EXPECT_FALSE(ended);
  EXPECT_FALSE(ended_by_number);
  EXPECT_EQ(cleared, 0U);
  EXPECT_EQ(accounts->charge[0][0], 7U);
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(has_ended_by_number(static_cast<std::uint32_t>(child)));
}

TEST_F(SettingsTest, more_programs_than_rows_are_refused) {
  run(limited("1GiB"), [](const Library& cuda) { EXPECT_EQ(cuda.begin(), cuda::kSuccess); });
  const auto page = map_accounts();
  const auto own = identity_of(static_cast<std::uint32_t>(getpid())) | 1;
  for (auto& owner : page->owner) owner = own;
  expect(limited("1GiB"), cuda::kSystemNotReady, "share this account");
}

TEST(ParseBytes, knows_units_and_nothing_else) {
  std::uint64_t bytes = 0;
  EXPECT_TRUE(parse_bytes("10GiB", bytes));
  EXPECT_EQ(bytes, 10 * kGiB);
  EXPECT_TRUE(parse_bytes("10GB", bytes));
  EXPECT_EQ(bytes, 10'000'000'000U);
  EXPECT_TRUE(parse_bytes("123", bytes));
  EXPECT_EQ(bytes, 123U);
  for (const char* wrong : {"", "GiB", "10 GiB", "10gib", "1.5GiB", "+1", "99999999999999999999",
                            "99999999999TiB", "0x10"})
    EXPECT_FALSE(parse_bytes(wrong, bytes)) << wrong;
}

}  // namespace
}  // namespace tessera::guard::test
