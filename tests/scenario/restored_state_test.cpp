#include <gtest/gtest.h>

#include "base/random.h"
#include "control/step.h"
#include "journal/codec.h"
#include "tenancy/tier.h"

/// A control plane that was killed and read its snapshot goes on as if nothing had happened.
namespace tessera {
namespace {

using catalog::Isolation;
using control::Command;
using control::State;
using request::Need;

const tenancy::Actor kAdmin{"admin", tenancy::Role::kAdmin, ""};

Need with_host(Need need, std::int64_t cores) {
  need.cpu = base::MilliCpu(cores * 1000);
  need.host_memory = base::MiB(cores * 4096);
  return need;
}

const std::vector<Need> kNeeds = {
    {.memory = base::MiB(9'000), .isolation = Isolation::kPartition},
    with_host({.memory = base::MiB(19'000), .isolation = Isolation::kPartition}, 4),
    {.memory = base::MiB(9'000), .isolation = Isolation::kPartition, .count = 3},
    with_host({.memory = base::MiB(8'000), .isolation = Isolation::kLimited}, 2),
    with_host({.memory = base::MiB(20'000), .isolation = Isolation::kLimited}, 3),
    {.memory = base::MiB(5'000), .isolation = Isolation::kLimited, .models = {"A30-24GB"}},
    with_host({.isolation = Isolation::kDedicated}, 8),
    with_host({.isolation = Isolation::kDedicated, .count = 2}, 12),
};

class RestoredStateTest : public testing::Test {
 protected:
  RestoredStateTest() {
    using catalog::Technology;
    for (const auto& tier : tenancy::default_tiers()) run(state_, control::PutTier{tier});
    const auto pool = [&](const std::string& name, const std::string& model) {
      run(state_, control::PutPool{{.name = name,
                                    .model = *catalog_->find(model),
                                    .tiers = {"production", "development"},
                                    .technologies = {Technology::kTimeSlicing, Technology::kMig,
                                                     Technology::kWhole}}});
    };
    pool("h100", "H100-80GB-SXM5");
    pool("a30", "A30-24GB");
    run(state_, control::PutTeam{{.name = "vision", .max_waiting = 100'000}});
    for (int i = 0; i < 12; ++i) {
      const auto name = "node-" + std::to_string(i);
      run(state_, control::PutNode{name, i % 3 == 0 ? "a30" : "h100", 4, base::MilliCpu(32'000),
                                   i % 2 == 0 ? base::MiB(0) : base::MiB(128 << 10)});
      report(state_, {.node = name, .boot = "1"});
    }
  }

  control::Record run(State& state, const Command& command, const tenancy::Actor& actor = kAdmin) {
    auto record = control::step(state, command, actor, now_);
    EXPECT_TRUE(record.has_value()) << base::to_string(record.error());
    return record ? *record : control::Record{};
  }
  control::Record report(State& state, const fleet::NodeReport& report) {
    return run(state, control::Report{report}, {"agent", tenancy::Role::kAgent, report.node});
  }

  /// The next command of a busy day: mostly requests, releases and reports, sometimes a node that
  /// goes and comes back.
  Command next() {
    now_ += std::chrono::seconds(5);
    if (random_.chance(1, 40)) {
      const auto& node = state_.fleet().nodes()[random_.below(state_.fleet().nodes().size())];
      return control::Cordon{node.name, !node.cordoned};
    }
    // The demand drifts: early needs are rare later on.
    if (random_.chance(1, 2))
      return control::Submit{
          "vision",
          {},
          kNeeds[(random_.below(kNeeds.size() - 2) + drift_++ / 300) % kNeeds.size()],
          {}};
    std::vector<request::LeaseId> held;
    for (const auto& [id, lease] : state_.leases())
      if (lease.state <= request::LeaseState::kExpiring) held.push_back(id);
    if (held.empty()) return control::Tick{};
    return control::Release{held[random_.below(held.size())]};
  }

  /// All that is being scrubbed on some node is clean.
  fleet::NodeReport clean() {
    const auto& node = state_.fleet().nodes()[random_.below(state_.fleet().nodes().size())];
    fleet::NodeReport report{.node = node.name, .boot = "1"};
    for (const auto index : node.gpus) {
      const auto& gpu = state_.fleet().gpu(index);
      fleet::GpuReport slices{.number = gpu.number};
      for (const auto& slice : gpu.slices)
        slices.slices.push_back({slice.generation, fleet::SliceStatus::kClean, "", ""});
      report.gpus.push_back(std::move(slices));
    }
    return report;
  }

  std::shared_ptr<const catalog::Catalog> catalog_ =
      std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  State state_{catalog_};
  base::SeededRandom random_{1};
  base::Instant now_{};
  std::size_t drift_ = 0;
};

TEST_F(RestoredStateTest, DecidesLikeTheOneThatWasNeverKilled) {
  std::size_t granted = 0, waited = 0;
  const auto both = [&](State* other, auto act) {
    const auto record = act(state_);
    for (const auto& event : record.events) {
      granted += std::holds_alternative<control::LeaseGranted>(event) ? 1 : 0;
      waited += std::holds_alternative<control::RequestMoved>(event) ? 1 : 0;
    }
    if (other == nullptr) return;
    ASSERT_EQ(journal::encode(act(*other)), journal::encode(record));
  };
  const auto go = [&](State* other, int commands) {
    for (int i = 0; i < commands; ++i) {
      const auto command = next();
      const auto cleaned = clean();
      both(other, [&](State& state) { return run(state, command); });
      both(other, [&](State& state) { return report(state, cleaned); });
      if (HasFatalFailure()) return;
    }
  };
  for (int round = 0; round < 3; ++round) {
    go(nullptr, 400);
    auto restored = journal::decode_state(journal::encode(state_), catalog_);
    ASSERT_TRUE(restored.has_value());
    go(restored->get(), 1000);
    if (HasFatalFailure()) return;
    EXPECT_EQ(journal::digest(**restored), journal::digest(state_));
  }
  EXPECT_GT(granted, 500u);
  EXPECT_GT(waited, 100u);
}

}  // namespace
}  // namespace tessera
