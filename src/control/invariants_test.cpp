#include "control/invariants.h"

#include <gtest/gtest.h>

#include "control/step.h"
#include "tenancy/tier.h"

/// The invariants find what they are there for. The states here are made by events that no command
/// would cause.
namespace tessera::control {
namespace {

using request::RequestState;

const tenancy::Actor kAdministrator{"admin", tenancy::Role::kAdmin, ""};

class InvariantsTest : public testing::Test {
 protected:
  InvariantsTest() {
    using catalog::Technology;
    for (const auto& tier : tenancy::default_tiers()) run(PutTier{tier});
    run(PutPool{
        {.name = "h100",
         .model = *state_.catalog().find("H100-80GB-SXM5"),
         .tiers = {"production", "development"},
         .technologies = {Technology::kTimeSlicing, Technology::kMig, Technology::kWhole}}});
    run(PutTeam{{.name = "vision"}});
    run(PutNode{"node-1", "h100", 2, {}, {}});
    run(Report{{.node = "node-1", .boot = "1"}}, {"agent", tenancy::Role::kAgent, "node-1"});
  }

  void run(const Command& command, const tenancy::Actor& actor = kAdministrator) {
    ASSERT_TRUE(step(state_, command, actor, Instant{}));
  }

  /// A step with just this event.
  void happen(Event event) {
    record_ = {.revision = state_.revision() + 1, .at = {}, .actor = kAdministrator, .events = {}};
    record_.events.push_back(std::move(event));
    state_.apply(record_);
  }

  /// What is broken after the last step: the invariant's name, or nothing.
  std::string broken() {
    for (const auto& invariant : invariants_)
      if (invariant->check(state_, record_)) return std::string(invariant->name());
    return {};
  }
  std::string broken_at_all() {
    for (const auto& invariant : invariants_)
      if (invariant->check_all(state_)) return std::string(invariant->name());
    return {};
  }

  RequestId wait_for(const request::Need& need, Reason reason) {
    const auto id = state_.next_request();
    happen(RequestSubmitted{{.id = id,
                             .state = RequestState::kApproved,
                             .tier = "production",
                             .need = need,
                             .team = "vision"}});
    happen(RequestMoved{id, RequestState::kQueued, {}, reason, {}});
    return id;
  }

  /// A lease of these slices on the first GPU.
  void hold(const std::vector<fleet::SliceShape>& shapes) {
    const auto id = wait_for(small_, Reason::kNoCapacity);
    request::Lease lease{.id = state_.next_lease(),
                         .request = id,
                         .pool = fleet::PoolIndex(0),
                         .node = fleet::NodeIndex(0),
                         .team = "vision",
                         .tier = "production"};
    std::uint64_t generation = 0;
    for (const auto& shape : shapes) lease.slices.push_back({GpuIndex(0), ++generation, shape});
    happen(LeaseGranted{lease, {}});
  }

  State state_{std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in())};
  std::vector<std::unique_ptr<Invariant>> invariants_ = all_invariants();
  Record record_;
  const request::Need small_{.memory = base::MiB(9'000),
                             .isolation = catalog::Isolation::kPartition};
};

TEST_F(InvariantsTest, AreContentWithWhatIsRight) {
  run(Submit{"vision", {}, small_, {}});
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(broken_at_all(), "");
}

TEST_F(InvariantsTest, NobodyWaitsForWhatFitsAfterAnyStep) {
  for (int step = 0; step < 20; ++step) {
    const auto id = wait_for(small_, Reason::kNoCapacity);
    ASSERT_EQ(broken(), "ExplainAgreesWithPlace") << "revision " << state_.revision();
    ASSERT_EQ(broken_at_all(), "ExplainAgreesWithPlace");
    happen(RequestMoved{id, RequestState::kCancelled, {}, Reason::kCancelled, {}});
    ASSERT_EQ(broken(), "");
  }
}

TEST_F(InvariantsTest, NobodyWaitsUntoldForWhatCannotBe) {
  auto never = small_;
  never.count = 64;
  wait_for(never, Reason::kNoCapacity);
  EXPECT_EQ(broken(), "ExplainAgreesWithPlace");
}

TEST_F(InvariantsTest, GuardedAndUnguardedSharesStayApart) {
  using catalog::Isolation;
  const fleet::ShareSlice guarded{base::MiB(1'000), base::MilliShare(100), 4, 8,
                                  Isolation::kLimited};
  auto unguarded = guarded;
  unguarded.isolation = Isolation::kShared;
  hold({guarded, unguarded});
  EXPECT_EQ(broken(), "CapacityNeverExceeded");
}

TEST_F(InvariantsTest, NoShareHasMoreNeighboursThanPromised) {
  const fleet::ShareSlice alone{base::MiB(1'000), base::MilliShare(100), 4, 1,
                                catalog::Isolation::kLimited};
  hold({alone, alone});
  EXPECT_EQ(broken(), "CapacityNeverExceeded");
  EXPECT_EQ(broken_at_all(), "CapacityNeverExceeded");
}

}  // namespace
}  // namespace tessera::control
