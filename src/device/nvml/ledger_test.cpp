#include "device/nvml/ledger.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gtest/gtest.h>

namespace tessera::device::nvml {
namespace {

constexpr InstanceSpec kFirst{0, {0, 1}};
constexpr InstanceSpec kSecond{2, {4, 4}};

class LedgerTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  std::string path_ = testing::TempDir() + "ledger-" + std::to_string(getpid());
};

TEST_F(LedgerTest, WhatWasNotWrittenDownIsSomebodyElses) {
  Ledger ledger(path_, "boot");
  EXPECT_FALSE(ledger.ours("GPU-1", kFirst, "MIG-a"));
  ledger.intend("GPU-1", kFirst);
  EXPECT_TRUE(ledger.ours("GPU-1", kFirst, "MIG-a")) << "it may have been made just now";
  ledger.made("GPU-1", kFirst, "MIG-a");
  EXPECT_TRUE(ledger.ours("GPU-1", kFirst, "MIG-a"));
  EXPECT_TRUE(ledger.ours("GPU-1", kFirst, "")) << "half destroyed";
  EXPECT_FALSE(ledger.ours("GPU-1", kFirst, "MIG-b")) << "another one in its place";
  EXPECT_FALSE(ledger.ours("GPU-1", kSecond, "MIG-a"));
  EXPECT_FALSE(ledger.ours("GPU-2", kFirst, "MIG-a"));
  ledger.gone("GPU-1", kFirst);
  EXPECT_FALSE(ledger.ours("GPU-1", kFirst, "MIG-a"));
}

TEST_F(LedgerTest, OutlivesItsProcessAndNotTheBoot) {
  {
    Ledger ledger(path_, "boot");
    ledger.intend("GPU-1", kFirst);
    ledger.made("GPU-1", kSecond, "MIG-b");
    EXPECT_EQ(ledger.trouble(), "");
  }
  const Ledger again(path_, "boot");
  EXPECT_TRUE(again.ours("GPU-1", kFirst, "MIG-a"));
  EXPECT_TRUE(again.ours("GPU-1", kSecond, "MIG-b"));
  EXPECT_FALSE(again.ours("GPU-1", kSecond, "MIG-c"));
  EXPECT_EQ(again.all("GPU-1").size(), 2U);
  EXPECT_TRUE(Ledger(path_, "next boot").all("GPU-1").empty());
}

TEST_F(LedgerTest, LeavesOutLinesItCannotRead) {
  std::ofstream(path_) << "tessera-instances 1 boot boot\n"
                       << "GPU-1 0 0 1 MIG-a\nGPU-1 0 -1 1 MIG-b\nGPU-1 0\n\xff\xfe\n"
                       << "GPU-1 2 4 999 MIG-c\nGPU-1 2 4 4 -\n";
  EXPECT_EQ(Ledger(path_, "boot").all("GPU-1").size(), 2U);
}

TEST_F(LedgerTest, SaysWhenItCannotWrite) {
  Ledger ledger("/nowhere/at/all", "boot");
  ledger.intend("GPU-1", kFirst);
  EXPECT_NE(ledger.trouble().find("/nowhere"), std::string::npos);
}

}  // namespace
}  // namespace tessera::device::nvml
