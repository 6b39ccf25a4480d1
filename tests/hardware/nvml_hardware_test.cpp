#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "catalog/gpu_model.h"
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
    auto opened = NvmlDriver::open(
        {.library = library_path()},
        std::make_shared<LinuxProcesses>(EndingPolicy{.strangers = false}), clock_);
    if (!opened) GTEST_SKIP() << base::to_string(opened.error());
    driver_ = std::move(*opened);
    std::cout << "driver " << driver_->driver_version() << "\n";
  }

  RealClock clock_;
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
    std::cout << sample.device << " busy " << sample.busy_permille << " permille\n";
}

/// The driver's own profiles and placements, beside the catalog's: every line that differs is a
/// finding about the catalog.
TEST_F(Hardware, HasTheProfilesOfTheCatalog) {
  const auto library = Library::open(library_path());
  ASSERT_TRUE(library);
  const auto& nvml = (*library)->call();
  for (const auto& gpu : driver_->observe().gpus) {
    const auto index = catalog_.find_pci(gpu.pci_id);
    ASSERT_TRUE(index) << "the catalog does not know PCI id " << std::hex << gpu.pci_id;
    abi::Device device = nullptr;
    ASSERT_EQ(nvml.nvmlDeviceGetHandleByIndex_v2(gpu.number, &device), abi::kSuccess);
    for (const auto& profile : catalog_.model(*index).profiles) {
      abi::ProfileInfo info{};
      const auto known = nvml.nvmlDeviceGetGpuInstanceProfileInfo(
          device, static_cast<unsigned>(profile.nvml_profile), &info);
      EXPECT_EQ(known, abi::kSuccess) << profile.name;
      if (known != abi::kSuccess) continue;
      std::cout << profile.name << ": " << info.memory_mib << " MiB, " << info.sms << " SMs, id "
                << info.id << "\n";
      EXPECT_EQ(info.id, static_cast<unsigned>(profile.driver_profile_id)) << profile.name;
      EXPECT_EQ(info.slices, static_cast<unsigned>(profile.compute_slices)) << profile.name;
      if (profile.sms) {
        EXPECT_EQ(info.sms, profile.sms->count()) << profile.name;
      }
      std::vector<abi::Placement> places(64);
      auto count = static_cast<unsigned>(places.size());
      ASSERT_EQ(nvml.nvmlDeviceGetGpuInstancePossiblePlacements_v2(device, info.id, places.data(),
                                                                   &count),
                abi::kSuccess);
      ASSERT_EQ(count, profile.placements.size()) << profile.name;
      for (unsigned i = 0; i < count; ++i) {
        const catalog::Placement place{static_cast<std::uint8_t>(places[i].start),
                                       static_cast<std::uint8_t>(places[i].size)};
        EXPECT_NE(std::ranges::find(profile.placements, place), profile.placements.end())
            << profile.name << " at " << places[i].start;
      }
    }
  }
}

}  // namespace
}  // namespace tessera::device::nvml
