// Many programs of one tenant, killed at any moment: never above the limit, and nothing is left.
//
//     guard_race_test --rounds 1000
//
// Without a number: as many rounds as there is time for, 20 at most. The promise is 1,000.

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "device/sharing/broker.h"
#include "guard/gpu_key.h"
#include "rig.h"

namespace tessera::guard::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr unsigned kPrograms = 16;
constexpr std::uint64_t kRaceLimit = kGiB;
constexpr auto kGoneWithin = 1s;

int wished_rounds = 0;  ///< --rounds; 0: none

class Race : public Rig {
 protected:
  /// Round after round: starts the programs, kills them one by one at random moments, and looks at
  /// the machine all the while. After the last death `settle` says whether what they were charged
  /// is gone; it is asked until it is, and may not take longer than promised.
  void race(const Environment& environment, const std::function<bool()>& settle);

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

void Race::race(const Environment& environment, const std::function<bool()>& settle) {
  const int rounds = wished_rounds > 0 ? wished_rounds : 20;
  // As many rounds as a busy machine can do in this time, if no number was asked for.
  const auto enough = Clock::now() + 8s;
  int done = 0;
  std::mt19937 random(20'251);
  std::uint64_t most = 0;
  std::uint64_t looks = 0;
  Clock::duration slowest{};
  for (; done < rounds && (wished_rounds > 0 || Clock::now() < enough); ++done) {
    std::vector<pid_t> programs;
    for (unsigned i = 0; i < kPrograms; ++i)
      programs.push_back(start(environment, [&](const Library& cuda) {
        allocate_for_ever(cuda, static_cast<unsigned>(done) * kPrograms + i);
      }));
    for (const auto program : programs) ended_.erase(program);  // numbers come again
    std::shuffle(programs.begin(), programs.end(), random);
    for (const auto program : programs) {
      const auto until = Clock::now() + std::chrono::milliseconds(random() % 20);
      do {
        const auto now = allocated();
        if (!now) continue;
        most = std::max(most, *now);
        ++looks;
        ASSERT_LE(*now, kRaceLimit) << "round " << done;
      } while (Clock::now() < until);
      kill(program, SIGKILL);
      int status = 0;
      waitpid(program, &status, 0);
      ended_.insert(program);
      ASSERT_TRUE(WIFSIGNALED(status)) << "ended by itself: " << WEXITSTATUS(status);
    }
    const auto dead_at = Clock::now();
    while (!settle()) {
      ASSERT_LT(Clock::now() - dead_at, kGoneWithin) << "round " << done;
      usleep(200);
    }
    slowest = std::max(slowest, Clock::now() - dead_at);
    ASSERT_EQ(physical(), 0U) << "round " << done;
  }
  std::printf(
      "%d rounds, %u programs killed, most memory at once: %llu of %llu MiB in %llu looks, "
      "charges gone after %.1f ms at most\n",
      done, static_cast<unsigned>(done) * kPrograms, static_cast<unsigned long long>(most / kMiB),
      static_cast<unsigned long long>(kRaceLimit / kMiB), static_cast<unsigned long long>(looks),
      std::chrono::duration<double, std::milli>(slowest).count());
  EXPECT_GT(most, kRaceLimit / 2);
}

/// Nobody looks after the account: who is next must get all of the limit, at the first try.
TEST_F(Race, of_programs_that_share_a_file) {
  const auto environment = limited("1GiB");
  race(environment, [&] {
    run(environment, [](const Library& cuda) {
      cuda::DevicePtr pointer = 0;
      ASSERT_EQ(cuda.begin(), cuda::kSuccess);
      ASSERT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{kRaceLimit}), cuda::kSuccess);
      ASSERT_EQ(cuda("cuMemFree_v2", pointer), cuda::kSuccess);
    });
    clear_the_dead(*map_accounts());
    return charge() == 0;
  });
}

/// The node's broker learns of each death from the kernel.
TEST_F(Race, of_programs_of_a_tenant) {
  cuda::Uuid uuid{};
  ASSERT_TRUE(parse_uuid(area().uuid[0], uuid));
  const auto gpu = key_of_uuid(uuid);
  const auto socket = machine() + ".socket";
  device::sharing::Broker broker;
  ASSERT_TRUE(broker.add("tenant", {socket, {{gpu, kRaceLimit}}, {1, false}}));
  race({{"TESSERA_GUARD_SOCKET", socket}}, [&] {
    const auto use = broker.use_of("tenant", gpu);
    return use && use->memory_bytes == 0 && use->programs == 0;
  });
}

}  // namespace
}  // namespace tessera::guard::test

int main(int count, char** words) {
  testing::InitGoogleTest(&count, words);
  const bool asked = count == 3 && std::strcmp(words[1], "--rounds") == 0;
  if (asked) tessera::guard::test::wished_rounds = std::atoi(words[2]);
  if (count != 1 && tessera::guard::test::wished_rounds < 1) {
    std::fprintf(stderr, "usage: %s [--rounds N]\n", words[0]);
    return 2;
  }
  return RUN_ALL_TESTS();
}
