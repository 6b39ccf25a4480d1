#include "device/nvml/processes.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace tessera::device::nvml {
namespace {

TEST(Processes, FindTheirLeaseInTheNameOfAScope) {
  EXPECT_EQ(tenant_in("0::/tessera.slice/tessera-lease-42.scope\n"), LeaseId(42));
  EXPECT_EQ(tenant_in("1:cpu:/x\n0::/tessera-lease-7.scope/inner\n"), LeaseId(7));
  for (const char* text :
       {"", "0::/user.slice\n", "0::/tessera-lease-.scope\n", "0::/tessera-lease-4x.scope\n",
        "0::/tessera-lease-42", "0::/tessera-lease-99999999999999999999.scope\n"})
    EXPECT_FALSE(tenant_in(text).valid()) << text;
}

// A program of one lease that came to the socket of another counted as the other's: its memory and
// its time with it.
TEST(Processes, WhoComesToASocketIsStillOfTheLeaseThatItsControlGroupNames) {
  namespace fs = std::filesystem;
  auto proc = (fs::temp_directory_path() / "tessera-proc-XXXXXX").string();
  ASSERT_NE(mkdtemp(proc.data()), nullptr);
  const auto tell = [&](const char* pid, const char* text) {
    fs::create_directory(fs::path(proc) / pid);
    std::ofstream(fs::path(proc) / pid / "cgroup") << text;
  };
  tell("12", "0::/tessera-lease-1.scope\n");
  tell("13", "0::/\n");
  LinuxProcesses processes(
      {}, [](std::uint32_t pid) { return LeaseId(pid < 15 ? 2 : 0); }, proc);
  EXPECT_EQ(processes.tenant_of(12), LeaseId(1));
  EXPECT_EQ(processes.tenant_of(13), LeaseId(2)) << "no control group says anything";
  EXPECT_EQ(processes.tenant_of(14), LeaseId(2)) << "nor is there one";
  EXPECT_FALSE(processes.tenant_of(15).valid());
  fs::remove_all(proc);
}

TEST(Processes, OfAGroupBelowALeasesThatIsMeantWhichAllOfItAreIn) {
  EXPECT_EQ(scope_in("0::/tessera-lease-7.scope/run-1\n"), "/tessera-lease-7.scope");
  EXPECT_EQ(scope_in("1:cpu:/x\n0::/user/tessera-lease-7.scope\n"), "/user/tessera-lease-7.scope");
  for (const char* text : {"", "0::/user\n", "1:cpu:/tessera-lease-7.scope\n",
                           "0::/tessera-lease-x.scope\n", "0::/../tessera-lease-7.scope\n"})
    EXPECT_EQ(scope_in(text), "") << text;
}

TEST(Processes, AGroupThatWasMadeAnewIsAnother) {
  namespace fs = std::filesystem;
  auto folder = (fs::temp_directory_path() / "tessera-groups-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const auto scope = fs::path(folder) / "tessera-lease-7.scope";
  fs::create_directories(fs::path(folder) / "12");
  std::ofstream(fs::path(folder) / "12" / "cgroup") << "0::/tessera-lease-7.scope/run-1\n";
  LinuxProcesses processes({}, {}, folder, folder);
  EXPECT_FALSE(processes.group_of(12)) << "it has gone";
  fs::create_directory(scope);
  const auto group = processes.group_of(12);
  ASSERT_TRUE(group);
  EXPECT_EQ(group->folder, scope.string());
  EXPECT_NE(group->number, 0U);
  EXPECT_FALSE(processes.group_of(13));
  fs::remove_all(folder);
}

/// A child that waits to be ended; whether it was is told by its exit.
pid_t start_child() {
  const pid_t child = fork();
  if (child == 0)
    for (;;) pause();
  return child;
}

TEST(Processes, StrangersAreLeftAloneUnlessThePolicySaysOtherwise) {
  const pid_t child = start_child();
  ASSERT_GT(child, 0);
  LinuxProcesses(EndingPolicy{.strangers = false}).end(static_cast<std::uint32_t>(child));
  EXPECT_EQ(waitpid(child, nullptr, WNOHANG), 0) << "it still runs";
  LinuxProcesses(EndingPolicy{.strangers = true}).end(static_cast<std::uint32_t>(child));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

}  // namespace
}  // namespace tessera::device::nvml
