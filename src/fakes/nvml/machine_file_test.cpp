#include "fakes/nvml/machine_file.h"

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace tessera::fakes {
namespace {

constexpr auto kRead = MachineFile::Access::kRead;
constexpr auto kChange = MachineFile::Access::kChange;

class MachineFileTest : public testing::Test {
 protected:
  void SetUp() override {
    MachineHeader header{};
    header.gpus = 2;
    std::strcpy(header.driver_version, "580.95.05");
    const auto gpus = std::make_unique<GpuRecord[]>(kMostGpus);
    ASSERT_TRUE(MachineFile::create(path_, header, gpus.get()));
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::string path_ = testing::TempDir() + "machine-" + std::to_string(getpid());
};

TEST_F(MachineFileTest, KeepsWhatWasWritten) {
  {
    const auto machine = MachineFile::open(path_, kChange);
    ASSERT_TRUE(machine);
    GpuRecord gpu;
    ASSERT_TRUE(machine->read(1, gpu));
    gpu.next_serial = 7;
    ASSERT_TRUE(machine->write(1, gpu));
  }
  const auto machine = MachineFile::open(path_, kRead);
  ASSERT_TRUE(machine);
  EXPECT_EQ(machine->header().gpus, 2U);
  GpuRecord gpu;
  ASSERT_TRUE(machine->read(1, gpu));
  EXPECT_EQ(gpu.next_serial, 7U);
  ASSERT_TRUE(machine->read(0, gpu));
  EXPECT_EQ(gpu.next_serial, 0U);
}

TEST_F(MachineFileTest, TellsAFileThatIsNoMachine) {
  EXPECT_EQ(MachineFile::open(path_ + "-none", kRead).error(), abi::kDriverNotLoaded);
  std::ofstream(path_, std::ios::trunc) << "something else";
  EXPECT_EQ(MachineFile::open(path_, kRead).error(), abi::kOperatingSystem);
  std::ofstream(path_, std::ios::trunc) << std::string(100'000, 'x');
  EXPECT_EQ(MachineFile::open(path_, kRead).error(), abi::kOperatingSystem);
}

TEST_F(MachineFileTest, AFileCutShortIsTold) {
  std::filesystem::resize_file(path_, sizeof(MachineHeader) + 100);
  const auto machine = MachineFile::open(path_, kRead);
  ASSERT_TRUE(machine);
  GpuRecord gpu;
  EXPECT_FALSE(machine->read(0, gpu));
}

/// Every process that dies in the middle leaves a record of one piece: its serial stands in the
/// first and the last field.
TEST_F(MachineFileTest, AKilledWriterLeavesOneStateOrTheOther) {
  for (int round = 0; round < 40; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (std::uint32_t n = 1;; ++n) {
        const auto machine = MachineFile::open(path_, kChange);
        GpuRecord gpu{};
        gpu.mig_current = gpu.faults.mode = n;
        if (!machine || !machine->write(0, gpu)) _exit(1);
      }
    }
    usleep(1000 + 131 * static_cast<unsigned>(round));
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    const auto machine = MachineFile::open(path_, kRead);
    ASSERT_TRUE(machine);
    GpuRecord gpu;
    ASSERT_TRUE(machine->read(0, gpu));
    EXPECT_EQ(gpu.mig_current, gpu.faults.mode);
  }
}

}  // namespace
}  // namespace tessera::fakes
