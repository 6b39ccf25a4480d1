#include <gtest/gtest.h>

#include "control/step.h"
#include "tenancy/tier.h"

namespace tessera::control {
namespace {

using namespace std::chrono_literals;
using fleet::BusyTime;
using fleet::LeaseUse;
using fleet::UseBatch;

const tenancy::Actor kOwner{"admin", tenancy::Role::kAdmin, ""};
const tenancy::Actor kAgent{"agent", tenancy::Role::kAgent, "node-1"};

/// Two nodes of one H100 with a lease on each, and what the agent of node-1 tells.
class UseTest : public testing::Test {
 protected:
  UseTest() {
    for (const auto& tier : tenancy::default_tiers()) ok(PutTier{tier});
    ok(PutPool{{.name = "h100",
                .model = *state_.catalog().find("H100-80GB-SXM5"),
                .tiers = {"production"},
                .technologies = {catalog::Technology::kWhole}}});
    ok(PutTeam{{.name = "vision"}});
    for (const auto* node : {"node-1", "node-2"}) {
      ok(PutNode{node, "h100", 1, {}, {}});
      const fleet::GpuReport gpu{0, "GPU-" + std::string(node), 0x233010DE, {}, {}, {}};
      ok(Report{{node, "boot", 1, 0, {gpu}}}, {"agent", tenancy::Role::kAgent, node});
      request::Need need;
      need.isolation = catalog::Isolation::kDedicated;
      need.duration = 8h;
      ok(Submit{"vision", "", need, ""});
    }
    EXPECT_EQ(state_.leases().size(), 2U);
    const auto& lease = *state_.find(fleet::LeaseId(1));
    if (state_.fleet().node(lease.node).name != "node-1") std::swap(mine_, theirs_);
  }

  base::Result<Record> run(const Command& command, const tenancy::Actor& actor) {
    return step(state_, command, actor, now_ += 1s);
  }
  void ok(const Command& command, const tenancy::Actor& actor = kOwner) {
    const auto record = run(command, actor);
    EXPECT_TRUE(record) << base::to_string(record.error());
  }
  /// Batches first, first + 1 …, of which each counts 10 to the power of its position.
  void tell(std::uint64_t first, std::uint64_t last, const std::string& stream = "s1") {
    fleet::UseReport report{"node-1", stream, {}};
    for (auto sequence = first; sequence <= last; ++sequence)
      report.batches.push_back({sequence, {worth(sequence)}});
    ok(RecordUse{report}, kAgent);
  }
  LeaseUse worth(std::uint64_t sequence) const {
    std::int64_t count = 1;
    for (std::uint64_t i = 1; i < sequence; ++i) count *= 10;
    return {mine_, {BusyTime(count), {}, {}, Duration(1)}};
  }
  std::int64_t busy(fleet::LeaseId lease) const { return state_.find(lease)->use.busy.count(); }

  State state_{std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in())};
  Instant now_{std::chrono::hours(500'000)};
  fleet::LeaseId mine_{1}, theirs_{2};
};

TEST_F(UseTest, EveryBatchCountsOnceWhateverTheMessagesDo) {
  tell(1, 1);
  tell(1, 3);  // the receipt was lost
  tell(1, 1);  // late
  tell(2, 4);
  tell(2, 4);  // doubled
  tell(3, 3);
  EXPECT_EQ(busy(mine_), 1111);
  EXPECT_EQ(state_.use_counted("node-1", "s1"), 4U);
}

TEST_F(UseTest, WhatIsKnownAlreadyIsNoEvent) {
  tell(1, 2);
  const auto before = state_.revision();
  tell(1, 2);
  EXPECT_EQ(state_.revision(), before);
}

TEST_F(UseTest, ANewStreamBeginsAnewAndTheOldOneStaysCounted) {
  tell(1, 2);
  tell(1, 1, "s2");
  tell(1, 2);  // late
  EXPECT_EQ(busy(mine_), 12);
}

TEST_F(UseTest, AReportThatGoesOnWhereALostStateLeftOffCounts) {
  tell(3, 4);
  EXPECT_EQ(busy(mine_), 1100);
}

TEST_F(UseTest, AnAgentSpeaksForItsOwnNodeOnly) {
  const auto foreign = worth(1);
  ok(RecordUse{{"node-1", "s1", {{1, {{theirs_, foreign.use}}}}}}, kAgent);
  EXPECT_EQ(busy(theirs_), 0);
  EXPECT_EQ(state_.use_counted("node-1", "s1"), 1U) << "it is not sent for ever";
  const auto refused = run(RecordUse{{"node-2", "s1", {}}}, kAgent);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, base::Reason::kForbidden);
}

TEST_F(UseTest, SumsDoNotOverflow) {
  fleet::UseReport report{"node-1", "s1", {}};
  for (std::uint64_t i = 1; i <= 12; ++i)
    report.batches.push_back({i, {{mine_, {BusyTime(fleet::Use::kMost), {}, {}, {}}}}});
  ok(RecordUse{report}, kAgent);
  EXPECT_EQ(busy(mine_), fleet::Use::kMost);
}

}  // namespace
}  // namespace tessera::control
