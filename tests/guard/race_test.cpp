// Many programs of one tenant, killed at any moment: never above the limit, and nothing is left.

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "rig.h"

namespace tessera::guard::test {
namespace {

constexpr unsigned kPrograms = 16;
constexpr std::uint64_t kRaceLimit = kGiB;

class Race : public Rig {
 protected:
  using Rows = std::array<std::uint64_t, fakes::kMostCudaProcesses>;
  Rows read_rows() const {
    Rows rows{};
    for (unsigned i = 0; i < area().rows_used; ++i) {
      const auto& process = area().processes[i];
      // The machine sweeps the rows of the dead now and then; their memory is free at once.
      if (!ended_.contains(static_cast<pid_t>(process.owner & kPids))) rows[i] = process.used[0];
    }
    return rows;
  }
  /// What the programs hold beside their contexts at one moment: the machine's rows, when two looks
  /// find the same. Otherwise memory that moved from one program to another would count twice.
  std::optional<std::uint64_t> allocated() const {
    const auto rows = read_rows();
    if (rows != read_rows()) return std::nullopt;
    std::uint64_t sum = 0;
    for (const auto used : rows) sum += used - std::min(used, kContextBytes);
    return sum;
  }

  std::set<pid_t> ended_;

 private:
  static constexpr std::uint64_t kPids = (1U << 22) - 1;
};

void allocate_for_ever(const Library& cuda, unsigned seed) {
  if (cuda.begin() != cuda::kSuccess) _exit(2);
  std::mt19937 random(seed);
  std::vector<cuda::DevicePtr> held;
  for (;;) {
    cuda::DevicePtr pointer = 0;
    const std::size_t size = (1 + random() % 160) * kMiB;
    const bool from_pool = random() % 2 == 0;
    const auto result = from_pool ? cuda("cuMemAllocAsync", &pointer, size, cuda::Handle{})
                                  : cuda("cuMemAlloc_v2", &pointer, size);
    if (result == cuda::kSuccess) held.push_back(pointer);
    if (result != cuda::kSuccess && result != cuda::kOutOfMemory) _exit(3);
    while (!held.empty() && (result != cuda::kSuccess || random() % 3 == 0)) {
      if (cuda("cuMemFree_v2", held.back()) != cuda::kSuccess) _exit(4);
      held.pop_back();
    }
  }
}

TEST_F(Race, of_programs_that_are_killed) {
  const char* wish = std::getenv("TESSERA_GUARD_ROUNDS");
  const int rounds = wish == nullptr ? 20 : std::atoi(wish);
  // As many rounds as a busy machine can do in this time, if no number was asked for.
  const auto enough = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  int done = 0;
  std::mt19937 random(20'251);
  std::uint64_t most = 0;
  std::uint64_t looks = 0;
  for (int round = 0; round < rounds; ++round) {
    if (wish == nullptr && std::chrono::steady_clock::now() > enough) break;
    ++done;
    std::vector<pid_t> programs;
    for (unsigned i = 0; i < kPrograms; ++i)
      programs.push_back(start(limited("1GiB"), [&](const Library& cuda) {
        allocate_for_ever(cuda, static_cast<unsigned>(round) * kPrograms + i);
      }));
    for (const auto program : programs) ended_.erase(program);  // numbers come again
    std::shuffle(programs.begin(), programs.end(), random);
    for (const auto program : programs) {
      const auto until =
          std::chrono::steady_clock::now() + std::chrono::milliseconds(random() % 20);
      do {
        const auto now = allocated();
        if (!now) continue;
        most = std::max(most, *now);
        ++looks;
        ASSERT_LE(*now, kRaceLimit) << "round " << round;
      } while (std::chrono::steady_clock::now() < until);
      kill(program, SIGKILL);
      int status = 0;
      waitpid(program, &status, 0);
      ended_.insert(program);
      ASSERT_TRUE(WIFSIGNALED(status)) << "ended by itself: " << WEXITSTATUS(status);
    }
    const auto accounts = map_accounts();
    const auto dead_at = std::chrono::steady_clock::now();
    if (accounts != nullptr) clear_the_dead(*accounts);
    EXPECT_EQ(charge(), 0U) << "round " << round;
    EXPECT_EQ(physical(), 0U);
    EXPECT_LT(std::chrono::steady_clock::now() - dead_at, std::chrono::seconds(1));
  }
  std::printf("%d rounds, most memory at once: %llu of %llu MiB in %llu looks\n", done,
              static_cast<unsigned long long>(most / kMiB),
              static_cast<unsigned long long>(kRaceLimit / kMiB),
              static_cast<unsigned long long>(looks));
  EXPECT_GT(most, kRaceLimit / 2);
}

}  // namespace
}  // namespace tessera::guard::test
