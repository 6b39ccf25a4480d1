#pragma once

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "catalog/gpu_model.h"
#include "device/nvml/driver.h"
#include "fakes/nvml/workshop.h"

/// A machine of the stand-in library with an NvmlDriver on it, for tests. There is one at a time in
/// a program: the library finds its machine by the environment.
namespace tessera::fakes {

/// Processes that exist on the pretended machine alone.
class PretendedProcesses final : public device::nvml::Processes {
 public:
  explicit PretendedProcesses(std::string path) : path_(std::move(path)) {}
  fleet::LeaseId tenant_of(std::uint32_t pid) override {
    const std::scoped_lock lock(mutex_);
    const auto found = tenants_.find(pid);
    return found == tenants_.end() ? fleet::LeaseId() : found->second;
  }
  void end(std::uint32_t pid) override { (void)remove_process(path_, pid); }
  /// Every lease's processes are in one.
  std::optional<device::nvml::ControlGroup> group_of(std::uint32_t pid) override {
    const auto tenant = tenant_of(pid);
    if (!tenant.valid()) return std::nullopt;
    return device::nvml::ControlGroup{"/groups/" + std::to_string(tenant.value()), 1};
  }
  void belongs(std::uint32_t pid, fleet::LeaseId tenant) {
    const std::scoped_lock lock(mutex_);
    tenants_[pid] = tenant;
  }

 private:
  std::string path_;
  std::mutex mutex_;
  std::map<std::uint32_t, fleet::LeaseId> tenants_;
};

class RealClock final : public base::Clock {
 public:
  base::Instant now() const override {
    return std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now());
  }
};

class PretendedMachine {
 public:
  explicit PretendedMachine(const MachineOrder& order) {
    std::filesystem::create_directories(folder_);
    const auto made = make_machine(path_, order);
    if (!made) ADD_FAILURE() << base::to_string(made.error());
    setenv("TESSERA_FAKE_GPUS", path_.c_str(), 1);
  }
  ~PretendedMachine() { std::filesystem::remove_all(folder_); }
  PretendedMachine(const PretendedMachine&) = delete;
  PretendedMachine& operator=(const PretendedMachine&) = delete;

  device::nvml::NvmlOptions options() const {
    return {.library = TESSERA_FAKE_NVML, .ledger = folder_ + "/instances"};
  }
  base::Result<std::unique_ptr<device::nvml::NvmlDriver>> open(
      const device::nvml::NvmlOptions& options) {
    return device::nvml::NvmlDriver::open(options, processes_, std::make_shared<RealClock>());
  }

  const std::string& path() const { return path_; }
  PretendedProcesses& processes() { return *processes_; }

  std::uint32_t start(const std::string& device, fleet::LeaseId tenant) {
    const auto machine = look_at(path_).value();
    for (unsigned gpu = 0; gpu < machine.gpus.size(); ++gpu) {
      ProcessOrder order{.gpu = gpu, .memory = base::MiB(1024), .load_percent = 40};
      bool here = device == machine.gpus[gpu].uuid;
      for (const auto& instance : machine.gpus[gpu].instances) {
        if (instance.serial == 0 || device != instance.compute[0].uuid) continue;
        order.gpu_instance = instance.id;
        here = true;
      }
      if (!here) continue;
      const auto pid = place_process(path_, order).value();
      processes_->belongs(pid, tenant);
      return pid;
    }
    ADD_FAILURE() << "no device " << device;
    return 0;
  }
  void stop(std::uint32_t pid) { EXPECT_TRUE(remove_process(path_, pid).value_or(false)); }

 private:
  std::string folder_ = testing::TempDir() + "pretended-" + std::to_string(getpid());
  std::string path_ = folder_ + "/machine";
  std::shared_ptr<PretendedProcesses> processes_ = std::make_shared<PretendedProcesses>(path_);
};

}  // namespace tessera::fakes
