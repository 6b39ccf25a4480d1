// Several threads of one program at once. Built with the thread sanitizer as well.

#include <random>
#include <thread>
#include <vector>

#include "rig.h"

namespace tessera::guard::test {
namespace {

constexpr unsigned kThreads = 4;

class Threads : public Rig {
 protected:
  /// Runs `work(thread)` in all threads of a program that has a context.
  static void together(const Library& cuda, const std::function<void(unsigned)>& work) {
    cuda::Handle context = nullptr;
    ASSERT_EQ(cuda("cuCtxGetCurrent", &context), cuda::kSuccess);
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < kThreads; ++i)
      threads.emplace_back([&, i] {
        EXPECT_EQ(cuda("cuCtxSetCurrent", context), cuda::kSuccess);
        work(i);
      });
  }
};

void allocate_and_free(const Library& cuda, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<cuda::DevicePtr> held;
  for (int i = 0; i < 500; ++i) {
    cuda::DevicePtr pointer = 0;
    const std::size_t size = (1 + random() % 64) * kMiB;
    const auto result = random() % 2 == 0 ? cuda("cuMemAlloc_v2", &pointer, size)
                                          : cuda("cuMemAllocAsync", &pointer, size, cuda::Handle{});
    EXPECT_TRUE(result == cuda::kSuccess || result == cuda::kOutOfMemory) << result;
    if (result == cuda::kSuccess) held.push_back(pointer);
    std::size_t free = 0;
    std::size_t total = 0;
    EXPECT_EQ(cuda("cuMemGetInfo_v2", &free, &total), cuda::kSuccess);
    EXPECT_LE(free, total);
    while (!held.empty() && (result != cuda::kSuccess || random() % 3 == 0)) {
      EXPECT_EQ(cuda("cuMemFree_v2", held.back()), cuda::kSuccess);
      held.pop_back();
    }
  }
  for (const auto pointer : held) EXPECT_EQ(cuda("cuMemFree_v2", pointer), cuda::kSuccess);
}

TEST_F(Threads, share_one_row_and_leave_nothing_in_it) {
  run(limited("1GiB"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    together(cuda, [&](unsigned thread) { allocate_and_free(cuda, thread); });
    EXPECT_EQ(cuda("cuCtxSynchronize"), cuda::kSuccess);
    EXPECT_EQ(charge(), 0U);
    EXPECT_EQ(physical(), kContextBytes);
  });
}

TEST_F(Threads, make_the_first_call_together) {
  run(limited("1GiB"), [&](const Library& cuda) {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < kThreads; ++i)
      threads.emplace_back([&] { EXPECT_EQ(cuda("cuInit", 0U), cuda::kSuccess); });
  });
}

TEST_F(Threads, launch_together_within_a_ceiling) {
  auto environment = limited("1GiB");
  environment["TESSERA_GUARD_COMPUTE"] = "90";
  run(environment, [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    cuda::Handle module = nullptr;
    cuda::Handle function = nullptr;
    ASSERT_EQ(cuda("cuModuleLoadData", &module, static_cast<const void*>("code")), cuda::kSuccess);
    ASSERT_EQ(cuda("cuModuleGetFunction", &function, module, "spin_100"), cuda::kSuccess);
    together(cuda, [&](unsigned) {
      for (int i = 0; i < 200; ++i)
        EXPECT_EQ(cuda("cuLaunchKernel", function, 1U, 1U, 1U, 1U, 1U, 1U, 0U, cuda::Handle{},
                       static_cast<void**>(nullptr), static_cast<void**>(nullptr)),
                  cuda::kSuccess);
      EXPECT_EQ(cuda("cuStreamSynchronize", cuda::Handle{}), cuda::kSuccess);
    });
    const auto accounts = map_accounts();
    std::uint64_t issued = 0;
    for (const auto& row : accounts->progress) issued += row[0].issued;
    EXPECT_EQ(issued, 200U * kThreads);
  });
}

}  // namespace
}  // namespace tessera::guard::test
