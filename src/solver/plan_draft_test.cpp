#include "control/plan_draft.h"

#include "control/plan_world.h"
#include "planning/plan.h"
#include "solver/coin_solver.h"

namespace tessera::control {
namespace {

using request::RequestState;

class Endless final : public planning::Patience {
 public:
  base::Duration left() const override { return std::chrono::hours(1); }
};

class PlanDraftTest : public PlanWorld {
 protected:
  Plan plan_for(const PlanWish& wish) {
    auto draft = draft_plan(state_, wish);
    EXPECT_TRUE(draft) << base::to_string(draft.error());
    const auto solution = solve_draft(*draft, solver::make_coin_solver, Endless());
    return finish_plan(*draft, solution, {});
  }

  /// A 20 GB lease on each GPU and nothing else: 60 GB are free everywhere, 80 nowhere.
  std::vector<RequestId> scatter() {
    std::vector<RequestId> kept;
    std::vector<RequestId> fillers;
    for (int gpus = 0; gpus < 3; ++gpus) {
      kept.push_back(submit(18));
      fillers.push_back(submit(38));
      fillers.push_back(submit(18));
    }
    work_all();
    for (const auto id : fillers)
      if (request(id).state == RequestState::kActive) ok(Release{request(id).lease});
    work_all();
    return kept;
  }

  void apply_to_the_end(PlanId id) {
    ok(ApplyPlan{id});
    for (int rounds = 0; rounds < 20 && state_.applying() != nullptr; ++rounds) work_all();
  }
};

TEST_F(PlanDraftTest, MakesRoomForWhatWaitsByMovingTheLeasesInTheWay) {
  const auto kept = scatter();
  std::set<GpuIndex> taken;
  for (const auto id : kept) taken.insert(lease_of(id).slices.front().gpu);
  ASSERT_EQ(taken.size(), 3u) << "one on each GPU";
  const auto waits = submit(70);
  ASSERT_EQ(request(waits).state, RequestState::kQueued);

  const auto made = plan_for({});
  EXPECT_TRUE(made.figures.proven);
  EXPECT_EQ(made.figures.served, planning::kUnit);
  EXPECT_EQ(made.moves.size(), 1u);
  ASSERT_EQ(made.grants.size(), 1u);
  EXPECT_EQ(made.grants.front().request, waits);

  const auto id = put(made);
  apply_to_the_end(id);
  EXPECT_EQ(plan(id).state, PlanState::kDone) << plan(id).message;
  EXPECT_EQ(request(waits).state, RequestState::kProvisioning);
  work_all();
  EXPECT_EQ(request(waits).state, RequestState::kActive);
  for (const auto still : kept) EXPECT_EQ(request(still).state, RequestState::kActive);
}

TEST_F(PlanDraftTest, LeasesOfATierThatIsNotMovableArePinned) {
  scatter();
  submit(70);
  auto tier = *state_.find_tier("production");
  tier.movable = false;
  ok(PutTier{tier});
  const auto made = plan_for({});
  EXPECT_EQ(made.figures.served, 0);
  EXPECT_TRUE(made.moves.empty());
  EXPECT_EQ(made.notes.size(), 1u);
}

TEST_F(PlanDraftTest, AWishIsPlannedForLikeARequestAndGrantsNothing) {
  scatter();
  const auto made = plan_for(
      {.demands = {{.profile = "7g.80gb", .count = 1}, {.profile = "1g.10gb", .count = 3}}});
  EXPECT_EQ(made.figures.served, 4 * planning::kUnit);
  EXPECT_TRUE(made.grants.empty());
  ASSERT_EQ(made.demands.size(), 2u);
  EXPECT_EQ(made.demands[1].served, 3);
}

TEST_F(PlanDraftTest, SpareGpusAreKeptEmpty) {
  submit(18);
  work_all();
  const auto draft = draft_plan(state_, {.spare = 1});
  ASSERT_TRUE(draft);
  EXPECT_EQ(draft->entries.size(), 2u);
  EXPECT_EQ(draft->spares.begin()->second.front().gpu, gpu("node-2/0"));
  const auto none = draft_plan(state_, {.spare = 9});
  EXPECT_EQ(none->problem.spare, 2);
  EXPECT_FALSE(none->notes.empty());
}

TEST_F(PlanDraftTest, RefusesWhatNoPoolCouldEverServe) {
  const auto refused = draft_plan(state_, {.demands = {{.profile = "9g.1tb"}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kNeverFits);
  EXPECT_EQ(refused.error().where, "spec.demand[0]");
  EXPECT_EQ(draft_plan(state_, {.pool = "elsewhere"}).error().reason, Reason::kUnknownObject);
}

TEST_F(PlanDraftTest, ARequestForSeveralSlicesGetsThemOnOneNode) {
  scatter();
  const auto waits = submit({.memory = base::MiB(70 * 1024),
                             .isolation = catalog::Isolation::kPartition,
                             .count = 2,
                             .duration = std::chrono::hours(8)});
  ASSERT_EQ(request(waits).state, RequestState::kQueued);
  const auto made = plan_for({});
  ASSERT_EQ(made.grants.size(), 1u) << "two leases go to the third GPU";
  EXPECT_EQ(made.grants.front().seats().size(), 2u);
  EXPECT_EQ(made.moves.size(), 2u);
  EXPECT_EQ(made.figures.served, 2 * planning::kUnit);
  const auto id = put(made);
  apply_to_the_end(id);
  EXPECT_EQ(plan(id).state, PlanState::kDone);
  ASSERT_EQ(lease_of(waits).slices.size(), 2u);
  for (const auto& slice : lease_of(waits).slices)
    EXPECT_EQ(state_.fleet().gpu(slice.gpu).node, lease_of(waits).node);
}

TEST_F(PlanDraftTest, ALeaseOfSeveralSlicesStaysAndOneThatCannotBeServedMovesNobody) {
  const auto pair = submit({.memory = base::MiB(18 * 1024),
                            .isolation = catalog::Isolation::kPartition,
                            .count = 2,
                            .duration = std::chrono::hours(8)});
  work_all();
  const auto before = lease_of(pair).slices;
  const auto waits = submit({.memory = base::MiB(70 * 1024),
                             .isolation = catalog::Isolation::kPartition,
                             .count = 2,
                             .duration = std::chrono::hours(8)});
  submit(70);
  work_all();
  const auto made = plan_for({});
  if (request(waits).state == RequestState::kQueued) {
    EXPECT_TRUE(made.moves.empty());
  }
  for (const auto& move : made.moves) EXPECT_NE(move.lease, lease_of(pair).id);
  EXPECT_EQ(lease_of(pair).slices.size(), before.size());
}

}  // namespace
}  // namespace tessera::control
