#include "agent/runner.h"

#include <atomic>

#include <gtest/gtest.h>

#include "agent/test_bench.h"

namespace tessera::agent {
namespace {

using namespace std::chrono_literals;

class RealClock final : public base::Clock {
 public:
  base::Instant now() const override {
    return base::Instant(std::chrono::duration_cast<base::Duration>(
        std::chrono::steady_clock::now().time_since_epoch()));
  }
};

/// A control plane that wants one instance, and can be away.
class FakeControl final : public Transport {
 public:
  explicit FakeControl(fleet::NodeTarget target) : target_(std::move(target)) {}

  base::Result<fleet::NodeTarget> exchange(const fleet::NodeReport& report, std::uint64_t since,
                                           base::Duration wait) override {
    ++exchanges;
    if (away) return base::fail(base::Reason::kUnavailable, "nobody answers");
    if (since >= target_.revision) std::this_thread::sleep_for(std::min(wait, base::Duration(20)));
    for (const auto& gpu : report.gpus)
      for (const auto& slice : gpu.slices)
        if (slice.status == fleet::SliceStatus::kReady) ready = true;
    return target_;
  }

  std::atomic<bool> away = false;
  std::atomic<bool> ready = false;
  std::atomic<int> exchanges = 0;

 private:
  fleet::NodeTarget target_;
};

template <class Condition>
bool within(base::Duration span, Condition condition) {
  const RealClock clock;
  const auto end = clock.now() + span;
  while (clock.now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return condition();
}

TEST(RunnerTest, CarriesReportsAndTargetsAndStopsInTime) {
  const RealClock clock;
  const auto catalog = std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  const auto model = catalog->find("H100-80GB-SXM5").value();
  device::simulated::Machine machine(
      catalog, clock, {.gpus = {model}, .seed = 1, .latencies = {20ms, 10ms, 10ms, 10ms, 1ms}});
  device::simulated::SimulatedDriver driver(machine);
  Agent agent("node-1", driver, catalog);
  const auto instance = catalog->model(model).find_instance("1g.10gb", 0).value();
  FakeControl control(
      {"node-1",
       3,
       {{0, {}, true, {{fleet::MigSlice{instance}, 1, fleet::SlicePhase::kPreparing, {}}}}}});
  control.away = true;
  Runner runner(
      agent, control, clock,
      {.longest_wait = 200ms, .spacing = 5ms, .first_retry = 10ms, .longest_retry = 50ms});
  EXPECT_TRUE(within(10s, [&] { return runner.trouble().has_value(); }));
  EXPECT_FALSE(control.ready);
  control.away = false;
  EXPECT_TRUE(within(10s, [&] { return control.ready.load(); }));
  EXPECT_FALSE(runner.trouble().has_value());
  const auto asked = clock.now();
  runner.stop();
  EXPECT_LT(clock.now() - asked, 2s);
  EXPECT_EQ(agent.revision(), 3U);
}

TEST(RunnerTest, AControlPlaneThatAnswersAtOnceIsNotAskedWithoutPause) {
  const RealClock clock;
  Bench bench;
  FakeControl control({"node-1", 0, {}});
  {
    Runner runner(*bench.agent_, control, clock, {.spacing = 50ms});
    std::this_thread::sleep_for(300ms);
  }
  EXPECT_GE(control.exchanges, 1);
  EXPECT_LE(control.exchanges, 12);
}

}  // namespace
}  // namespace tessera::agent
