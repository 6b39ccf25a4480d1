#pragma once

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "driver_library.h"
#include "fakes/cuda/area.h"
#include "guard/ledger.h"

/// A pretended machine, and programs on it that have the guard for a driver.
///
/// The guard reads its settings once, so every program is a child of its own: it sets its
/// environment, opens the library and runs a function; its failed expectations become its parent's.
namespace tessera::guard::test {

inline constexpr std::uint64_t kMiB = 1ULL << 20;
inline constexpr std::uint64_t kGiB = 1ULL << 30;
inline constexpr std::uint64_t kContextBytes = 256 * kMiB;  // of the stand-in

class Rig : public testing::Test {
 protected:
  using Environment = std::map<std::string, std::string>;

  void SetUp() override { make_machine(); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// A new one in place of the one there was.
  void make_machine() {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
    std::string name = (std::filesystem::temp_directory_path() / "tessera-guard-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    const auto gpu = std::make_unique<fakes::GpuRecord>();
    std::snprintf(gpu->model, sizeof(gpu->model), "H100-80GB-SXM5");
    std::snprintf(gpu->uuid, sizeof(gpu->uuid), "GPU-01234567-89ab-cdef-0123-456789abcdef");
    fakes::MachineHeader header{};
    header.gpus = 1;
    ASSERT_TRUE(fakes::MachineFile::create(machine(), header, gpu.get()));
    area_ = fakes::map_cuda_area(machine());
    ASSERT_NE(area_, nullptr);
  }
  std::string machine() const { return folder_ + "/machine"; }
  std::string account() const { return folder_ + "/account"; }
  std::uint64_t physical() const { return fakes::memory_in_use(*area_, 0); }
  fakes::CudaArea& area() const { return *area_; }

  /// Limited to so much, in the rig's account.
  Environment limited(const std::string& memory) const {
    return {{"TESSERA_GUARD_MEMORY", memory}, {"TESSERA_GUARD_ACCOUNT", account()}};
  }
  std::uint64_t charge() const {
    const auto accounts = map_accounts();
    return accounts == nullptr ? 0 : charged(*accounts, 0);
  }
  std::shared_ptr<Accounts> map_accounts() const {
    const int file = open(account().c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) return nullptr;
    void* at = mmap(nullptr, sizeof(Accounts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return {static_cast<Accounts*>(at), [](Accounts* page) { munmap(page, sizeof(Accounts)); }};
  }

  pid_t start(const Environment& environment, const std::function<void(const Library&)>& program,
              const char* driver = TESSERA_GUARD) {
    std::fflush(nullptr);
    const int failed_before = failures();
    const pid_t child = fork();
    if (child != 0) return child;
    setenv("TESSERA_FAKE_GPUS", machine().c_str(), 1);
    setenv("TESSERA_GUARD_CUDA", TESSERA_FAKE_CUDA, 1);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    alarm(120);
    program(Library(driver));
    std::fflush(nullptr);
    _exit(failures() > failed_before ? 1 : 0);
  }
  /// Of the running test, so far.
  static int failures() {
    const auto* result = testing::UnitTest::GetInstance()->current_test_info()->result();
    int count = 0;
    for (int i = 0; i < result->total_part_count(); ++i)
      count += result->GetTestPartResult(i).failed() ? 1 : 0;
    return count;
  }
  static void expect_well(pid_t child) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  }
  void run(const Environment& environment, const std::function<void(const Library&)>& program) {
    expect_well(start(environment, program));
  }

 private:
  std::string folder_;
  fakes::CudaArea* area_ = nullptr;
};

}  // namespace tessera::guard::test
