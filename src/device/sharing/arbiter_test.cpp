#include "device/sharing/arbiter.h"

#include <algorithm>
#include <array>
#include <random>
#include <unistd.h>

#include <gtest/gtest.h>

#include "guard/ledger.h"

namespace tessera::device::sharing {
namespace {

constexpr Arbiter::Nanoseconds kMillisecond = 1'000'000;
constexpr double kLookMs = 0.2;

/// One tenant's program over several GPUs, in the time of the test: kernels of one length, of which
/// it has at most two in flight on each GPU.
struct Tenancy {
  std::vector<unsigned> gpus;
  Terms terms;
  double kernel_ms = 1;
  /// Every kernel is one part of a collective: it ends when all GPUs have run theirs; the parts
  /// are launched one GPU after the other, so many looks apart.
  bool collective = false;
  unsigned lag = 0;
};

/// Programs, the arbiter, and GPUs that divide their time equally among all that have work.
class World {
 public:
  explicit World(const std::vector<Tenancy>& tenancies) {
    pages_.reserve(tenancies.size());
    for (const auto& each : tenancies) {
      std::vector<GpuShare> gpus;
      for (const unsigned gpu : each.gpus) gpus.push_back({gpu + 1, guard::kNoLimit});
      pages_.push_back(*TenantPages::make(gpus));
      row_ = guard::claim_row(pages_.back().accounts(),
                              guard::identity_of(static_cast<std::uint32_t>(getpid())));
      programs_.push_back({each, std::vector<Lane>(each.gpus.size())});
      sharers_.push_back({&pages_.back(), each.gpus, each.terms});
    }
    begin_anew();
  }
  /// As when a tenant comes or goes.
  void begin_anew() { arbiter_ = std::make_unique<Arbiter>(sharers_); }

  void run(double ms) {
    for (const auto end = now_ + static_cast<Arbiter::Nanoseconds>(ms * 1e6); now_ < end;
         now_ += Arbiter::kLook) {
      for (std::size_t i = 0; i < programs_.size(); ++i) tell(i);
      arbiter_->step(now_);
      for (std::size_t i = 0; i < programs_.size(); ++i) launch(i);
      for (unsigned gpu = 0; gpu < kGpus; ++gpu) work(gpu);
      ++looks_;
    }
  }
  /// Milliseconds that a tenant had of a GPU.
  double had(std::size_t tenant, unsigned slot = 0) const {
    return programs_[tenant].lanes[slot].done_ms;
  }
  std::uint32_t gate(std::size_t tenant, unsigned slot) const {
    return pages_[tenant].limits().gpu[slot].gate;
  }
  std::uint64_t collectives(std::size_t tenant) const { return programs_[tenant].lanes[0].retired; }
  void pause(std::size_t tenant, unsigned slot, bool paused) {
    programs_[tenant].lanes[slot].paused = paused;
  }
  /// Looks at which a gang had one gate closed and another not.
  unsigned halves = 0;

 private:
  static constexpr unsigned kGpus = 4;
  struct Lane {
    std::uint64_t issued = 0, retired = 0, issued_at = 0;
    double left_ms = 0;  ///< of the first kernel in flight
    double done_ms = 0;
    bool waiting = false, paused = false;
  };
  struct Program {
    Tenancy is;
    std::vector<Lane> lanes;
  };

  void tell(std::size_t tenant) {
    for (std::size_t slot = 0; slot < programs_[tenant].lanes.size(); ++slot) {
      const auto& lane = programs_[tenant].lanes[slot];
      auto& progress = pages_[tenant].accounts().progress[row_][slot];
      progress.issued = lane.issued;
      progress.retired = lane.retired;
      progress.waiting = lane.waiting ? 1 : 0;
      progress.busy_until_ns = lane.issued > lane.retired ? now_ + 2 * kMillisecond : 0;
    }
  }
  void launch(std::size_t tenant) {
    auto& [is, lanes] = programs_[tenant];
    bool closed = false, open = false;
    for (unsigned slot = 0; slot < lanes.size(); ++slot) {
      auto& lane = lanes[slot];
      const bool shut = gate(tenant, slot) == guard::kGateClosed;
      closed = closed || shut;
      open = open || !shut;
      bool wants = !lane.paused && lane.issued < lane.retired + 2;
      // A part goes after the part on the GPU before it.
      if (is.collective && slot > 0)
        wants = wants && lane.issued < lanes[slot - 1].issued &&
                looks_ >= lanes[slot - 1].issued_at + is.lag;
      lane.waiting = wants && shut;
      if (!wants || shut) continue;
      if (lane.issued++ == lane.retired) lane.left_ms = is.kernel_ms;
      lane.issued_at = looks_;
    }
    if (lanes.size() > 1 && closed && open) ++halves;
  }
  void work(unsigned gpu) {
    std::vector<std::pair<Program*, Lane*>> busy;
    for (auto& program : programs_)
      for (std::size_t slot = 0; slot < program.lanes.size(); ++slot)
        if (program.is.gpus[slot] == gpu &&
            program.lanes[slot].issued > program.lanes[slot].retired)
          busy.emplace_back(&program, &program.lanes[slot]);
    for (const auto& [program, lane] : busy) {
      const double part = kLookMs / static_cast<double>(busy.size());
      lane->done_ms += part;
      lane->left_ms -= part;
      const bool all_there = std::ranges::all_of(
          program->lanes, [&](const Lane& other) { return other.issued > lane->retired; });
      if (lane->left_ms > 1e-9 || (program->is.collective && !all_there)) continue;
      ++lane->retired;
      lane->left_ms = program->is.kernel_ms;
    }
  }

  std::vector<TenantPages> pages_;
  std::vector<Sharer> sharers_;
  std::vector<Program> programs_;
  std::unique_ptr<Arbiter> arbiter_;
  unsigned row_ = 0;
  Arbiter::Nanoseconds now_ = 1'000 * kMillisecond;
  std::uint64_t looks_ = 0;
};

TEST(Gangs, have_their_turns_on_all_gpus_together) {
  World world({{.gpus = {0, 1}, .terms = {50}},
               {.gpus = {0}, .terms = {50}},
               {.gpus = {1}, .terms = {50}}});
  world.run(20);
  world.halves = 0;
  world.run(5'000);
  EXPECT_EQ(world.halves, 0U);
  for (const unsigned slot : {0U, 1U}) {
    const double all = world.had(0, slot) + world.had(1 + slot);
    EXPECT_NEAR(world.had(0, slot) / all, 0.5, 0.03) << slot;
    EXPECT_GT(all, 0.85 * 5'020) << slot;
  }
}

TEST(Gangs, get_what_they_weigh_whatever_the_kernels) {
  for (const std::uint32_t percent : {30U, 70U})
    for (const double kernel : {0.4, 5.0}) {
      World world({{.gpus = {0, 1, 2}, .terms = {percent}, .kernel_ms = kernel},
                   {.gpus = {1}, .terms = {100 - percent}, .kernel_ms = 1}});
      world.run(10'000);
      EXPECT_NEAR(world.had(0, 1) / (world.had(0, 1) + world.had(1)), percent / 100.0, 0.03)
          << percent << " % with kernels of " << kernel << " ms";
    }
}

TEST(Gangs, leave_the_others_their_shares_of_each_gpu) {
  World world({{.gpus = {0, 1}, .terms = {40}},
               {.gpus = {0}, .terms = {15}},
               {.gpus = {0}, .terms = {45}},
               {.gpus = {1}, .terms = {60}}});
  world.run(10'000);
  EXPECT_NEAR(world.had(1) / (world.had(1) + world.had(2)), 0.25, 0.03);
  EXPECT_NEAR(world.had(3) / (world.had(3) + world.had(0, 1)), 0.6, 0.03);
}

TEST(Gangs, end_a_collective_that_a_closed_gate_cut_in_two) {
  for (const unsigned lag : {0U, 1U, 3U, 7U}) {
    World world(
        {{.gpus = {0, 1, 2, 3}, .terms = {50}, .kernel_ms = 1, .collective = true, .lag = lag},
         {.gpus = {0}, .terms = {50}},
         {.gpus = {3}, .terms = {50}}});
    world.run(5'000);
    // Alone it would do one about every 1 ms plus the lags.
    EXPECT_GT(world.collectives(0), 5'000 / (1 + 0.2 * 4 * (lag + 1)) / 8) << "lag " << lag;
    EXPECT_GT(world.had(1), 0.35 * 5'000) << "lag " << lag;
    EXPECT_GT(world.had(2), 0.35 * 5'000) << "lag " << lag;
  }
}

TEST(Gangs, are_none_while_they_use_one_gpu) {
  World world({{.gpus = {0, 1}, .terms = {50}},
               {.gpus = {0}, .terms = {50}},
               {.gpus = {1}, .terms = {50}}});
  world.pause(0, 1, true);
  world.run(2'000);
  EXPECT_NEAR(world.had(0) / (world.had(0) + world.had(1)), 0.5, 0.03);
  EXPECT_GT(world.had(2), 0.97 * 2'000) << "nobody else works on that GPU";
}

TEST(Gangs, do_not_hold_up_the_critical_and_come_before_others_if_they_are) {
  World beside({{.gpus = {0, 1}, .terms = {50}}, {.gpus = {0}, .terms = {50, true}}});
  beside.run(1'000);
  EXPECT_GT(beside.had(1), 0.9 * 1'000) << "it always works, and nobody beside it";
  World first({{.gpus = {0, 1}, .terms = {50, true}},
               {.gpus = {0}, .terms = {50}},
               {.gpus = {1}, .terms = {50}}});
  first.run(1'000);
  EXPECT_GT(first.had(0, 0), 0.9 * 1'000);
  EXPECT_GT(first.had(0, 1), 0.9 * 1'000);
}

TEST(Gangs, that_overlap_all_go_on) {
  std::mt19937 random(7);
  for (int run = 0; run < 4; ++run) {
    std::vector<Tenancy> tenancies;
    for (unsigned i = 0; i < 5; ++i) {
      Tenancy each{.terms = {1 + static_cast<std::uint32_t>(random() % 100)},
                   .kernel_ms = 0.2 * static_cast<double>(1 + random() % 20)};
      for (unsigned gpu = 0; gpu < 4; ++gpu)
        if (random() % 2 == 0) each.gpus.push_back(gpu);
      if (each.gpus.empty()) each.gpus.push_back(i % 4);
      each.collective = each.gpus.size() > 1 && random() % 2 == 0;
      each.lag = static_cast<unsigned>(random() % 3);
      tenancies.push_back(each);
    }
    World world(tenancies);
    world.run(2'000);
    std::vector<double> before;
    for (std::size_t i = 0; i < tenancies.size(); ++i) before.push_back(world.had(i));
    // The longest anybody may wait: everybody else's turn, if each has to be drained.
    world.run(5 * 1'000);
    for (std::size_t i = 0; i < tenancies.size(); ++i)
      EXPECT_GT(world.had(i), before[i]) << "run " << run << ", tenant " << i;
  }
}

// Whatever it had ever launched there looked new to an arbiter made anew.
TEST(Gangs, old_work_on_another_gpu_makes_no_gang_when_tenants_come_or_go) {
  World world({{.gpus = {0, 1}}, {.gpus = {1}}});
  world.run(200);
  world.pause(0, 1, true);
  world.run(1'500);
  const auto before = world.had(1);
  world.begin_anew();
  world.run(500);
  EXPECT_GT(world.had(1) - before, 0.95 * 500) << "it has that GPU to itself";
}

}  // namespace
}  // namespace tessera::device::sharing
