#include <gtest/gtest.h>

#include "simulation/run.h"

/// Many small worlds, each with everything that can go wrong.
namespace tessera::simulation {
namespace {

/// Other seeds than those that ./dev test runs by the hundred: what matters here is that every kind
/// of trouble does happen.
TEST(SeedsTest, WorldsFullOfTroubleKeepEveryPromise) {
  constexpr std::uint64_t kSeeds = 40;
  const auto report = run_seeds(1'001, kSeeds);
  if (report.first_violation)
    FAIL() << report.first_violation->text << "\nreplay it: tessera simulate --seeds 1 --seed "
           << report.first_violation->seed;
  EXPECT_EQ(report.seeds, kSeeds);
  EXPECT_LE(report.void_runs, kSeeds / 10) << "too little happens";
  EXPECT_GT(report.granted, kSeeds * 30);
  for (const auto* name : {"agent-restarted",
                           "answer-lost",
                           "control-killed",
                           "device-call-fails",
                           "device-create-fails",
                           "device-hangs",
                           "device-in-use",
                           "gpu-error",
                           "gpu-lost",
                           "journal-refuses",
                           "journal-torn",
                           "journal-torn-tail",
                           "journal-unheard",
                           "memory-left-over",
                           "message-doubled",
                           "message-late",
                           "message-lost",
                           "node-cut-off",
                           "node-lost",
                           "node-rebooted",
                           "node-written-off",
                           "process-refuses-to-die"})
    EXPECT_TRUE(report.faults.contains(name)) << name << " never happened";
}

}  // namespace
}  // namespace tessera::simulation
