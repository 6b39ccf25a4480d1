#include <algorithm>

#include <gtest/gtest.h>

#include "control/step.h"
#include "journal/codec.h"
#include "simulation/node.h"
#include "tenancy/tier.h"

/// The data folder is yesterday's: the nodes know of a day that the control plane has lost. Once
/// its old generations vouched for the new leases of others, and agents that held newer targets
/// never listened again.
namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;
using control::State;
using request::LeaseId;
using request::RequestId;
using request::RequestState;
using tenancy::Actor;
using tenancy::Role;

const Actor kOwner{"admin", Role::kAdmin, {}};
const Actor kAgent{"agent", Role::kAgent, "node-1"};

class RestoredBackupTest : public testing::Test {
 protected:
  RestoredBackupTest() {
    state_->begin_incarnation(agenda_.now());
    control::Apply apply;
    for (auto& tier : tenancy::default_tiers()) apply.documents.push_back(control::PutTier{tier});
    apply.documents.push_back(control::PutPool{
        {.name = "h100",
         .model = model_,
         .tiers = {"production"},
         .technologies = {catalog::Technology::kMig, catalog::Technology::kWhole}}});
    apply.documents.push_back(control::PutNode{.name = "node-1", .pool = "h100", .gpus = 1});
    apply.documents.push_back(control::PutTeam{{.name = "vision"}});
    apply.documents.push_back(control::PutTeam{{.name = "speech"}});
    run(apply);
    live(10s);
  }

  void run(const control::Command& command, const Actor& actor = kOwner) {
    const auto record = control::step(*state_, command, actor, agenda_.now());
    ASSERT_TRUE(record.has_value()) << base::to_string(record.error());
  }

  /// Agent and control plane talk for so long: what is, for what should be.
  void live(Duration span) {
    const auto end = agenda_.now() + span;
    while (agenda_.now() < end) {
      const auto step = node_.agent()->tick(agenda_.now());
      if (step.report) report_ = *step.report;
      run(control::Report{report_}, kAgent);
      node_.agent()->on_target(target());
      agenda_.run_until(std::min(end, agenda_.now() + 1s));
    }
  }

  fleet::NodeTarget target() const {
    return control::target_of(*state_, state_->fleet().find_node("node-1").value());
  }

  RequestId submit(const std::string& team, std::int64_t gigabytes) {
    const auto id = state_->next_request();
    run(control::Submit{team,
                        "",
                        {.memory = base::MiB(gigabytes * 954),
                         .isolation = catalog::Isolation::kPartition,
                         .duration = 8h},
                        ""});
    return id;
  }
  const request::Request& request(RequestId id) const { return *state_->find(id); }
  const request::Lease& lease_of(RequestId id) const { return *state_->find(request(id).lease); }
  const fleet::Slice& slice_of(RequestId id) const {
    const auto& leased = lease_of(id).slices.front();
    return *state_->fleet().gpu(leased.gpu).find(leased.generation);
  }

  /// What runs for `id` from now on.
  std::uint32_t start_program(RequestId id) {
    return node_.machine()
        .start({.device = slice_of(id).device,
                .memory = base::MiB(512),
                .tenant = request(id).lease,
                .linger = {}})
        .value();
  }
  bool runs(std::uint32_t pid) {
    const auto seen = node_.machine().observe();
    return std::ranges::count(seen.gpus.front().processes, pid, &device::Process::pid) == 1;
  }

  std::string back_up() const { return journal::encode(*state_); }
  void restore(const std::string& backup) {
    auto read = journal::decode_state(backup, catalog_);
    ASSERT_TRUE(read.has_value());
    state_ = std::move(*read);
    state_->begin_incarnation(agenda_.now());
  }

  std::shared_ptr<const catalog::Catalog> catalog_ =
      std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  catalog::ModelIndex model_ = *catalog_->find("H100-80GB-SXM5");
  Agenda agenda_{base::Instant(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1))};
  Node node_{{"node-1", model_, 1}, catalog_, agenda_, 7};
  std::unique_ptr<State> state_ = std::make_unique<State>(catalog_);
  fleet::NodeReport report_;  ///< the last, sent again until there is another
};

TEST_F(RestoredBackupTest, OldGenerationsDoNotVouchForNewLeases) {
  const auto kept = submit("vision", 9);
  live(60s);
  ASSERT_EQ(request(kept).state, RequestState::kActive);
  const auto backup = back_up();

  const auto lost = submit("vision", 40);
  live(60s);
  ASSERT_EQ(request(lost).state, RequestState::kActive);
  const auto lost_lease = request(lost).lease;
  const auto program = start_program(lost);

  restore(backup);
  const auto fresh = submit("speech", 40);
  ASSERT_EQ(request(fresh).lease, lost_lease) << "the same number, for another team";
  live(30s);
  EXPECT_EQ(request(fresh).state, RequestState::kQueued) << "its slice is another's";
  EXPECT_TRUE(runs(program)) << "what a lost lease runs is not killed";
  EXPECT_EQ(request(kept).state, RequestState::kActive);
  EXPECT_EQ(slice_of(kept).phase, fleet::SlicePhase::kInUse);

  node_.machine().stop(program);
  live(60s);
  EXPECT_EQ(request(fresh).state, RequestState::kActive);
  EXPECT_GT(request(fresh).lease, lost_lease);
}

TEST_F(RestoredBackupTest, ATargetThatComesBeforeTheReportVouchesForNobody) {
  const auto backup = back_up();
  const auto lost = submit("vision", 40);
  live(60s);
  ASSERT_EQ(request(lost).state, RequestState::kActive);
  const auto program = start_program(lost);

  restore(backup);
  const auto fresh = submit("speech", 40);
  node_.agent()->on_target(target());
  live(30s);
  EXPECT_NE(request(fresh).state, RequestState::kActive) << "the other's program is still there";
  EXPECT_TRUE(runs(program));
  node_.machine().stop(program);
  live(60s);
  EXPECT_EQ(request(fresh).state, RequestState::kActive);
}

TEST_F(RestoredBackupTest, AgentsThatHoldNewerTargetsListenAgain) {
  const auto backup = back_up();
  for (int i = 0; i < 20; ++i) run(control::PutTeam{{.name = "team-" + std::to_string(i)}});
  const auto lost = submit("vision", 9);
  live(60s);
  ASSERT_EQ(request(lost).state, RequestState::kActive);

  restore(backup);
  EXPECT_LT(target().revision, node_.agent()->revision());
  live(30s);
  EXPECT_EQ(node_.agent()->moment(), target().moment());
  EXPECT_TRUE(node_.machine().observe().gpus.front().instances.empty())
      << "what nobody holds any more, and nobody uses, goes";
  const auto fresh = submit("vision", 9);
  live(60s);
  EXPECT_EQ(request(fresh).state, RequestState::kActive);
}

TEST_F(RestoredBackupTest, AControlPlaneThatHasOvertakenTheLostFutureIsNotFooled) {
  const auto backup = back_up();
  const auto lost = submit("vision", 40);
  live(60s);
  ASSERT_EQ(request(lost).state, RequestState::kActive);
  start_program(lost);
  const auto lost_lease = request(lost).lease;
  const auto lost_device = slice_of(lost).device;

  restore(backup);
  const auto fresh = submit("speech", 40);
  while (target().revision <= node_.agent()->revision())
    run(control::PutTeam{{.name = "busy-" + std::to_string(state_->revision())}});
  live(30s);
  EXPECT_GT(request(fresh).lease, lost_lease);
  EXPECT_NE(slice_of(fresh).device, lost_device);
}

TEST_F(RestoredBackupTest, APlainRestartChangesNothing) {
  const auto id = submit("vision", 9);
  live(60s);
  const auto next = state_->next_lease();
  restore(back_up());
  live(30s);
  EXPECT_EQ(request(id).state, RequestState::kActive);
  EXPECT_EQ(state_->next_lease(), next);
}

TEST_F(RestoredBackupTest, NumbersThatNoFutureHasAreRefused) {
  fleet::NodeReport report{.node = "node-1", .boot = "1", .highest_lease = LeaseId(1ULL << 60)};
  EXPECT_FALSE(control::step(*state_, control::Report{report}, kAgent, agenda_.now()));
  report.highest_lease = {};
  report.target_incarnation = 1ULL << 60;
  report.target_revision = 1;
  EXPECT_FALSE(control::step(*state_, control::Report{report}, kAgent, agenda_.now()));
}

}  // namespace
}  // namespace tessera::simulation
