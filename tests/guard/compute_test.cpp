// Shares of a GPU's time, with the real guard in programs of their own and the node's arbiter, over
// the stand-in driver, in virtual time. TESSERA_GUARD_SECONDS makes it longer (promised over 10).

#include <algorithm>
#include <array>
#include <chrono>
#include <poll.h>
#include <vector>

#include "device/sharing/arbiter.h"
#include "device/sharing/door.h"
#include "guard/gpu_key.h"
#include "rig.h"
#include "virtual_time.h"

namespace tessera::guard::test {
namespace {

using device::sharing::Arbiter;
using device::sharing::Door;
using device::sharing::GpuShare;
using device::sharing::Sharer;
using device::sharing::TenantPages;
using device::sharing::Terms;

constexpr std::uint64_t kMs = 1'000'000;

double seconds() {
  const char* wish = std::getenv("TESSERA_GUARD_SECONDS");
  return wish == nullptr ? 2 : std::atof(wish);
}

std::uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000 * kMs +
         static_cast<std::uint64_t>(now.tv_nsec);
}
void sleep_ns(std::uint64_t ns) {
  const timespec pause{static_cast<time_t>(ns / (1'000 * kMs)),
                       static_cast<long>(ns % (1'000 * kMs))};
  nanosleep(&pause, nullptr);
}

/// What a tenant's program does with the GPU until the end.
using Work = std::function<void(const Library&, std::uint64_t end)>;

cuda::Handle kernel(const Library& cuda, unsigned us) {
  cuda::Handle module = nullptr;
  cuda::Handle function = nullptr;
  EXPECT_EQ(cuda("cuModuleLoadData", &module, static_cast<const void*>("code")), cuda::kSuccess);
  const auto name = "spin_" + std::to_string(us);
  EXPECT_EQ(cuda("cuModuleGetFunction", &function, module, name.c_str()), cuda::kSuccess);
  return function;
}
void launch(const Library& cuda, cuda::Handle function, cuda::Handle stream = nullptr) {
  ASSERT_EQ(cuda("cuLaunchKernel", function, 1U, 1U, 1U, 1U, 1U, 1U, 0U, stream,
                 static_cast<void**>(nullptr), static_cast<void**>(nullptr)),
            cuda::kSuccess);
}

/// One kernel after the other, as many as the queue takes.
Work flood_of(unsigned us) {
  return [us](const Library& cuda, std::uint64_t end) {
    auto* const function = kernel(cuda, us);
    while (now_ns() < end) launch(cuda, function);
  };
}
Work flood_of_graphs(unsigned kernels, unsigned us) {
  return [=](const Library& cuda, std::uint64_t end) {
    auto* const function = kernel(cuda, us);
    cuda::Handle stream = nullptr;
    cuda::Handle graph = nullptr;
    cuda::Handle exec = nullptr;
    ASSERT_EQ(cuda("cuStreamCreate", &stream, 0U), cuda::kSuccess);
    ASSERT_EQ(cuda("cuStreamBeginCapture_v2", stream, 0), cuda::kSuccess);
    for (unsigned i = 0; i < kernels; ++i) launch(cuda, function, stream);
    ASSERT_EQ(cuda("cuStreamEndCapture", stream, &graph), cuda::kSuccess);
    ASSERT_EQ(cuda("cuGraphInstantiateWithFlags", &exec, graph, 0ULL), cuda::kSuccess);
    while (now_ns() < end) ASSERT_EQ(cuda("cuGraphLaunch", exec, stream), cuda::kSuccess);
  };
}
void do_nothing(const Library& cuda, std::uint64_t end) {
  launch(cuda, kernel(cuda, 100));
  sleep_ns(end - now_ns());
}

/// What the programs tell their parent.
struct Answers {
  std::array<double, 4'096> latency_ms;
  unsigned requests;
};

/// Every request is 50 kernels of 0.1 ms, one after the other; then a pause of 5 to 25 ms.
Work requests(Answers& answers) {
  return [&answers](const Library& cuda, std::uint64_t end) {
    auto* const function = kernel(cuda, 100);
    unsigned pause_ms = 5;
    while (now_ns() < end && answers.requests < answers.latency_ms.size()) {
      const auto begin = now_ns();
      for (int i = 0; i < 50; ++i) launch(cuda, function);
      EXPECT_EQ(cuda("cuStreamSynchronize", cuda::Handle{}), cuda::kSuccess);
      answers.latency_ms[answers.requests++] =
          static_cast<double>(now_ns() - begin) / static_cast<double>(kMs);
      pause_ms = 5 + pause_ms * 7 % 21;
      sleep_ns(pause_ms * kMs + pause_ms * 37'000);
    }
  };
}

struct Program {
  Terms terms;
  Work work;
};

class Compute : public Rig {
 protected:
  /// The part of the GPU's time that each tenant's program had.
  std::vector<double> run_beside(const std::vector<Program>& programs, double for_seconds) {
    const auto span = static_cast<std::uint64_t>(for_seconds * 1'000) * kMs;
    VirtualTime time(static_cast<unsigned>(programs.size()) + 1);
    const auto end = time.begin() + span;
    std::vector<TenantPages> pages;
    std::vector<Door> doors;
    std::vector<pid_t> children;
    const std::array<GpuShare, 1> gpus = {GpuShare{key_of_gpu(), kNoLimit}};
    for (unsigned i = 0; i < programs.size(); ++i) {
      pages.push_back(*TenantPages::make(gpus));
      doors.push_back(*Door::open(socket_of(i)));
      children.push_back(
          start({{"TESSERA_GUARD_SOCKET", socket_of(i)}}, [&, i](const Library& cuda) {
            ASSERT_EQ(cuda.begin(), cuda::kSuccess);
            time.join(i + 1);
            programs[i].work(cuda, end);
            time.leave();
          }));
    }
    let_in(doors, pages);
    std::vector<Sharer> sharers;
    for (unsigned i = 0; i < programs.size(); ++i)
      sharers.push_back({&pages[i], {0}, programs[i].terms});
    const auto shares = arbitrate(time, std::move(sharers), children, span);
    for (const auto child : children) expect_well(child);
    return shares;
  }

  /// A program whose gate was closed at the beginning; nobody looks after it any more.
  std::vector<double> run_at_closed_gate(VirtualTime& time, std::uint64_t span) {
    const std::array<GpuShare, 1> gpus = {GpuShare{key_of_gpu(), kNoLimit}};
    std::vector<TenantPages> pages;
    std::vector<Door> doors;
    pages.push_back(*TenantPages::make(gpus));
    doors.push_back(*Door::open(socket_of(0)));
    pages[0].set_gate(0, kGateClosed);
    pages[0].note_look(time.begin());
    const auto child = start({{"TESSERA_GUARD_SOCKET", socket_of(0)}}, [&](const Library& cuda) {
      ASSERT_EQ(cuda.begin(), cuda::kSuccess);
      time.join(1);
      flood_of(1'000)(cuda, time.begin() + span);
      time.leave();
    });
    let_in(doors, pages);
    const auto shares = arbitrate(time, {}, {child}, span);
    expect_well(child);
    return shares;
  }

  /// The same program with nothing between it and the driver.
  double run_alone(const Work& work, double for_seconds) {
    const auto span = static_cast<std::uint64_t>(for_seconds * 1'000) * kMs;
    VirtualTime time(2);
    const auto child = start(
        {},
        [&](const Library& cuda) {
          ASSERT_EQ(cuda.begin(), cuda::kSuccess);
          time.join(1);
          work(cuda, time.begin() + span);
          time.leave();
        },
        TESSERA_FAKE_CUDA);
    const auto shares = arbitrate(time, {}, {child}, span);
    expect_well(child);
    return shares[0];
  }

  std::string socket_of(unsigned tenant) const { return machine() + std::to_string(tenant); }
  std::uint64_t key_of_gpu() const {
    cuda::Uuid uuid{};
    EXPECT_TRUE(parse_uuid(area().uuid[0], uuid));
    return key_of_uuid(uuid);
  }

  /// One program at every door.
  static void let_in(std::vector<Door>& doors, std::vector<TenantPages>& pages) {
    for (std::size_t i = 0; i < doors.size(); ++i)
      while (doors[i].programs() == 0) {
        std::vector<int> files;
        const auto now = std::chrono::steady_clock::now();
        doors[i].watch(files, now);
        pollfd polled{files.front(), POLLIN, 0};
        ASSERT_EQ(poll(&polled, 1, 20'000), 1) << "program " << i << " does not come";
        doors[i].attend(pages[i], now);
      }
  }

 private:
  double worked(pid_t child) const {
    constexpr std::uint64_t kPids = (1U << 22) - 1;
    for (unsigned i = 0; i < area().rows_used; ++i)
      if (static_cast<pid_t>(area().processes[i].owner & kPids) == child)
        return area().processes[i].done_ns[0];
    return 0;
  }

  /// Moves the gates until the end, and then until everybody has come out of them.
  std::vector<double> arbitrate(VirtualTime& time, std::vector<Sharer> sharers,
                                const std::vector<pid_t>& children, std::uint64_t span) {
    Arbiter arbiter(std::move(sharers));
    const auto end = time.begin() + span;
    std::vector<double> shares;
    time.join(0);
    do {
      arbiter.step(now_ns());
      const auto now = now_ns();
      sleep_ns(now < end ? std::min(arbiter.next_look(), end - now) : arbiter.next_look());
      if (shares.empty() && now_ns() >= end)
        for (const auto child : children)
          shares.push_back(worked(child) / static_cast<double>(span));
    } while (time.members() > 1);
    time.leave();
    return shares;
  }
};

struct Kind {
  const char* name;
  Work work;
};
std::vector<Kind> kinds() {
  return {{"0.1 ms", flood_of(100)},
          {"1 ms", flood_of(1'000)},
          {"20 ms", flood_of(20'000)},
          {"graphs of 10 x 0.1 ms", flood_of_graphs(10, 100)}};
}

TEST_F(Compute, shares_are_what_was_promised) {
  for (const unsigned percent : {50U, 30U, 10U})
    for (const auto& kind : kinds()) {
      make_machine();
      const auto shares = run_beside(
          {{{percent, false}, kind.work}, {{100 - percent, false}, kind.work}}, seconds());
      ASSERT_EQ(shares.size(), 2U);
      const double all = shares[0] + shares[1];
      std::printf("%2u/%u of %-22s %5.2f %% of %.1f %%\n", percent, 100 - percent, kind.name,
                  shares[0] / all * 100, all * 100);
      EXPECT_NEAR(shares[0] / all * 100, percent, 3) << kind.name;
      EXPECT_GT(all, 0.85) << kind.name;
    }
}

TEST_F(Compute, long_kernels_take_nothing_from_short_ones) {
  const auto shares =
      run_beside({{{50, false}, flood_of(100)}, {{50, false}, flood_of(20'000)}}, seconds());
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_NEAR(shares[0] / (shares[0] + shares[1]) * 100, 50, 3);
}

TEST_F(Compute, an_idle_partner_costs_nothing) {
  for (const auto& kind : kinds()) {
    make_machine();
    const auto shares =
        run_beside({{{50, false}, kind.work}, {{50, false}, do_nothing}}, seconds());
    ASSERT_EQ(shares.size(), 2U);
    const auto alone = run_alone(kind.work, seconds());
    std::printf("beside an idle partner, %-22s %.1f %% of solo\n", kind.name,
                shares[0] / alone * 100);
    EXPECT_GE(shares[0], 0.97 * alone) << kind.name;
  }
}

double percentile(const Answers& answers, double part) {
  std::vector<double> all(answers.latency_ms.begin(),
                          answers.latency_ms.begin() + answers.requests);
  std::ranges::sort(all);
  return all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1))];
}

TEST_F(Compute, the_critical_are_hardly_held_up) {
  void* at =
      mmap(nullptr, 2 * sizeof(Answers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(at, MAP_FAILED);
  auto* answers = static_cast<Answers*>(at);
  for (const unsigned us : {100U, 250U}) {
    make_machine();
    answers[0].requests = answers[1].requests = 0;
    run_alone(requests(answers[0]), 2 * seconds());
    const auto shares = run_beside(
        {{{100, true}, requests(answers[1])}, {{100, false}, flood_of(us)}}, 2 * seconds());
    ASSERT_EQ(shares.size(), 2U);
    const auto solo = percentile(answers[0], 0.99);
    const auto beside = percentile(answers[1], 0.99);
    std::printf(
        "p99 of %u requests beside a flood of %u us: %.2f ms, %.2f times solo; the flood "
        "had %.1f %%\n",
        answers[1].requests, us, beside, beside / solo, shares[1] * 100);
    EXPECT_LE(beside, 1.2 * solo);
    EXPECT_GE(shares[1], 0.6 * (1 - shares[0]));
  }
  munmap(at, 2 * sizeof(Answers));
}

// Its gate was closed when the agent was killed: every launch waited as long as any may.
TEST_F(Compute, an_agent_that_is_gone_holds_nobody_up) {
  const auto span = static_cast<std::uint64_t>(seconds() * 1'000) * kMs;
  VirtualTime time(2);
  const auto shares = run_at_closed_gate(time, span);
  ASSERT_EQ(shares.size(), 1U);
  const auto waited = static_cast<double>(kAgentGoneNs) / static_cast<double>(span);
  EXPECT_NEAR(shares[0], 1 - waited, 0.05);
}

// It went on in its parent's account, with the number of a row in another one.
TEST_F(Compute, a_forked_child_comes_to_the_agent_that_answers_now) {
  const std::array<GpuShare, 1> small = {GpuShare{key_of_gpu(), 64 * kMiB}};
  const std::array<GpuShare, 1> large = {GpuShare{key_of_gpu(), 128 * kMiB}};
  std::vector<TenantPages> pages, later;
  std::vector<Door> doors;
  pages.push_back(*TenantPages::make(small));
  doors.push_back(*Door::open(socket_of(0)));
  int news[2];
  ASSERT_EQ(pipe(news), 0);
  const auto total = [](const Library& cuda) {
    std::size_t free = 0, all = 0;
    EXPECT_EQ(cuda("cuMemGetInfo_v2", &free, &all), cuda::kSuccess);
    return all;
  };
  const auto program = start({{"TESSERA_GUARD_SOCKET", socket_of(0)}}, [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    EXPECT_EQ(total(cuda), 64 * kMiB);
    char byte = 0;
    ASSERT_EQ(read(news[0], &byte, 1), 1);
    const pid_t child = fork();
    if (child == 0) {
      EXPECT_EQ(cuda.begin(), cuda::kSuccess);
      EXPECT_EQ(total(cuda), 128 * kMiB);
      _exit(HasFailure() ? 1 : 0);
    }
    expect_well(child);
    EXPECT_EQ(total(cuda), 64 * kMiB);
  });
  let_in(doors, pages);
  doors.clear();
  pages.clear();
  later.push_back(*TenantPages::make(large));
  doors.push_back(*Door::open(socket_of(0)));
  ASSERT_EQ(write(news[1], "x", 1), 1);
  let_in(doors, later);
  expect_well(program);
  for (const int file : news) close(file);
}

TEST_F(Compute, without_an_agent_one_program_stays_below_its_ceiling) {
  const auto span = static_cast<std::uint64_t>(seconds() * 1'000) * kMs;
  for (const unsigned us : {100U, 20'000U}) {
    make_machine();
    VirtualTime time(1);
    const auto child = start({{"TESSERA_GUARD_COMPUTE", "30"}}, [&](const Library& cuda) {
      ASSERT_EQ(cuda.begin(), cuda::kSuccess);
      time.join(0);
      flood_of(us)(cuda, time.begin() + span);
      time.leave();
    });
    expect_well(child);
    EXPECT_NEAR(area().processes[0].done_ns[0] / static_cast<double>(span) * 100, 30, 3) << us;
  }
}

}  // namespace
}  // namespace tessera::guard::test
