#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "catalog/gpu_model.h"
#include "device/nvml/drift.h"
#include "device/nvml/driver.h"

namespace tessera::device::nvml {
namespace {

class RealClock final : public base::Clock {
 public:
  base::Instant now() const override {
    return std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now());
  }
};

std::string library_path() {
  const char* named = std::getenv("TESSERA_NVML");
  return named == nullptr ? "libnvidia-ml.so.1" : named;
}

class Hardware : public testing::Test {
 protected:
  void SetUp() override {
    auto opened =
        NvmlDriver::open({.library = library_path(), .read_only = true},
                         std::make_shared<LinuxProcesses>(EndingPolicy{.strangers = false}),
                         std::make_shared<RealClock>());
    if (!opened) GTEST_SKIP() << base::to_string(opened.error());
    driver_ = std::move(*opened);
    std::cout << "driver " << driver_->library().driver_version() << "\n";
  }

  catalog::Catalog catalog_ = catalog::Catalog::built_in();
  std::unique_ptr<NvmlDriver> driver_;
};

TEST_F(Hardware, IsReadInBoundedTime) {
  for (int round = 0; round < 3; ++round) {
    const auto before = std::chrono::steady_clock::now();
    const auto observation = driver_->observe();
    const auto span = std::chrono::steady_clock::now() - before;
    std::cout << "observed in "
              << std::chrono::duration_cast<std::chrono::microseconds>(span).count() << " us\n";
    EXPECT_LT(span, std::chrono::milliseconds(500));
    ASSERT_FALSE(observation.gpus.empty());
    for (const auto& gpu : observation.gpus) {
      EXPECT_TRUE(gpu.uuid.starts_with("GPU-")) << gpu.uuid;
      EXPECT_EQ(gpu.condition, Condition::kAnswering);
      EXPECT_GE(gpu.memory_used, MiB(0));
    }
  }
}

TEST_F(Hardware, TellsItsUse) {
  if (!driver_->capabilities().use_samples) GTEST_SKIP() << "NVML measures nothing here";
  const auto id = driver_->submit(ReadUse{driver_->observe().gpus.front().number});
  ASSERT_TRUE(id);
  std::vector<Completion> ended;
  for (int tries = 0; tries < 500 && ended.empty(); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ended = driver_->poll();
  }
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_FALSE(ended[0].error);
  for (const auto& sample : ended[0].samples)
    std::cout << sample.device << " busy " << sample.busy_permille.value_or(-1)
              << " permille, -1 where NVML does not say\n";
}

/// Every line that differs is a finding about the catalog.
TEST_F(Hardware, HasTheProfilesOfTheCatalog) {
  for (const auto& gpu : driver_->observe().gpus) {
    const auto index = catalog_.find_pci(gpu.pci_id);
    ASSERT_TRUE(index) << "the catalog does not know PCI id " << std::hex << gpu.pci_id;
    for (const auto& finding : drift_from(catalog_.model(*index), driver_->library(), gpu.number))
      ADD_FAILURE() << finding;
  }
}

}  // namespace
}  // namespace tessera::device::nvml
