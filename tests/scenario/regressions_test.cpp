#include <gtest/gtest.h>

#include "control/step.h"
#include "simulation/run.h"

/// What the simulation once found, by name. Each stays for ever.
namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;
using tenancy::Actor;
using tenancy::Role;

const Actor kAdmin{"admin", Role::kAdmin, {}};
constexpr base::Instant kNow{};

/// One node with one GPU, and a lease on it.
control::State small_world() {
  const auto catalog = std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  control::State state(catalog);
  control::Apply apply;
  for (auto& tier : tenancy::default_tiers()) apply.documents.push_back(control::PutTier{tier});
  apply.documents.push_back(
      control::PutPool{{.name = "h100",
                        .model = *catalog->find("H100-80GB-SXM5"),
                        .tiers = {"production"},
                        .technologies = {catalog::Technology::kMig, catalog::Technology::kWhole}}});
  apply.documents.push_back(control::PutNode{.name = "node-1", .pool = "h100", .gpus = 1});
  apply.documents.push_back(control::PutTeam{{.name = "vision"}});
  EXPECT_TRUE(control::step(state, apply, kAdmin, kNow).has_value());
  const Actor agent{"node-1", Role::kAgent, "node-1"};
  EXPECT_TRUE(control::step(state, control::Report{{.node = "node-1", .boot = "1"}}, agent, kNow));
  request::Need need{
      .memory = base::MiB(9'000), .isolation = catalog::Isolation::kPartition, .duration = 1h};
  EXPECT_TRUE(control::step(state, control::Submit{"vision", "", need, {}}, kAdmin, kNow));
  const auto& gpu = state.fleet().gpus().at(0);
  fleet::NodeReport ready{.node = "node-1", .boot = "1"};
  ready.gpus.push_back(
      {.uuid = "GPU-1",
       .slices = {{gpu.slices.at(0).generation, fleet::SliceStatus::kReady, "MIG-1", {}}}});
  EXPECT_TRUE(control::step(state, control::Report{ready}, agent, kNow));
  EXPECT_EQ(state.leases().begin()->second.state, request::LeaseState::kActive);
  return state;
}

/// Seed 2: a tier's notice changed under running leases; their timers stayed where they were, but
/// moved with the next restart.
TEST(RegressionsTest, ANewNoticeHoldsForRunningLeases) {
  auto state = small_world();
  auto tier = *state.find_tier("production");
  EXPECT_EQ(state.next_due(), kNow + 45min);
  tier.notice = 5min;
  ASSERT_TRUE(control::step(state, control::PutTier{tier}, kAdmin, kNow));
  EXPECT_EQ(state.next_due(), kNow + 55min);
  EXPECT_EQ(state.next_due(), state.clone().next_due());
}

TEST(RegressionsTest, SeedsThatOnceFailed) {
  for (const std::uint64_t seed : {2}) {
    const auto result = run_seed(seed);
    EXPECT_FALSE(result.violation.has_value()) << "seed " << seed << ": " << *result.violation;
  }
}

}  // namespace
}  // namespace tessera::simulation
