#include <algorithm>
#include <filesystem>
#include <unistd.h>

#include <gtest/gtest.h>

#include "agent/use_sender.h"
#include "base/random.h"
#include "control/step.h"
#include "tenancy/tier.h"

/// From samples to the totals of the control plane, while everything in between misbehaves.
namespace tessera::agent {
namespace {

using base::Duration;
using base::Instant;
using fleet::LeaseId;
using fleet::Use;
using namespace std::chrono_literals;

/// Answers a ReadUse with samples of two instances, as busy and as far apart as it likes, dated by
/// a clock that steps; keeps the true sums.
class MovingDriver final : public device::Driver {
 public:
  explicit MovingDriver(base::Random& random) : random_(&random) {}

  device::Capabilities capabilities() const override { return {{}, true, 8}; }
  std::expected<device::OperationId, device::Error> submit(device::Operation) override {
    return ++last_;
  }
  std::vector<device::Completion> poll() override {
    device::Completion done{last_, {}, {}, {}};
    done.reading.milliwatts = 300'000;
    for (const auto* device : {"MIG-a", "MIG-b"}) {
      device::UseSample sample{
          .device = device,
          .busy_permille = static_cast<int>(random_->below(1001)),
          .memory = base::MiB(100),
          .at = Instant(Duration(static_cast<std::int64_t>(random_->below(2'000'000'000'000)))),
          .span = 900ms + Duration(random_->below(100))};
      auto& truth = truth_[device];
      truth.busy += fleet::BusyTime(*sample.busy_permille * sample.span.count());
      truth.measured += sample.span;
      truth.memory += fleet::MemoryTime(100 * sample.span.count());
      done.samples.push_back(std::move(sample));
    }
    return {done};
  }
  device::Observation observe() override {
    device::GpuState gpu;
    gpu.uuid = "GPU-1";
    return {"boot", {gpu}};
  }
  const Use& truth(const std::string& device) { return truth_[device]; }

 private:
  base::Random* random_;
  device::OperationId last_ = 0;
  std::map<std::string, Use> truth_;
};

/// A control plane whose clock steps, behind a network that loses, doubles and reorders.
class Chaos final : public UseTransport {
 public:
  explicit Chaos(base::Random& random) : random_(&random) {
    const tenancy::Actor admin{"admin", tenancy::Role::kAdmin, ""};
    for (const auto& tier : tenancy::default_tiers()) run(control::PutTier{tier}, admin);
    run(control::PutPool{{.name = "h100",
                          .model = *state_.catalog().find("H100-80GB-SXM5"),
                          .tiers = {"production"},
                          .technologies = {catalog::Technology::kMig}}},
        admin);
    run(control::PutTeam{{.name = "vision"}}, admin);
    run(control::PutNode{"node-1", "h100", 1, {}, {}}, admin);
    run(control::Report{{"node-1", "boot", 1, 0, {{0, "GPU-1", 0x233010DE, {}, {}, {}}}}}, agent_);
    for (int i = 0; i < 2; ++i) {
      request::Need need;
      need.memory = base::MiB(9'000);
      need.isolation = catalog::Isolation::kPartition;
      need.duration = 8h;
      run(control::Submit{"vision", "", need, ""}, admin);
    }
    EXPECT_EQ(state_.leases().size(), 2U);
  }

  base::Result<fleet::UseReceipt> deliver(const fleet::UseReport& report) override {
    sent_.push_back(report);
    if (calm) return count(report);
    if (random_->chance(1, 4)) return lost();
    if (random_->chance(1, 3)) count(sent_[random_->below(sent_.size())]);  // late, or doubled
    auto receipt = count(report);
    if (random_->chance(1, 3)) count(sent_[random_->below(sent_.size())]);
    if (random_->chance(1, 4)) return lost();
    std::swap(receipt, kept_);  // a receipt may overtake another, of any earlier delivery
    if (random_->chance(1, 2) || receipt.stream.empty()) receipt = kept_;
    return receipt;
  }

  const Use& counted(LeaseId lease) const { return state_.find(lease)->use; }
  std::uint64_t records() const { return state_.revision(); }
  bool calm = false;

 private:
  fleet::UseReceipt count(const fleet::UseReport& report) {
    run(control::RecordUse{report}, agent_);
    return {report.stream, state_.use_counted("node-1", report.stream)};
  }
  void run(const control::Command& command, const tenancy::Actor& actor) {
    const auto now = Instant(std::chrono::hours(400'000 + random_->below(100'000)));
    const auto record = control::step(state_, command, actor, now);
    EXPECT_TRUE(record) << base::to_string(record.error());
  }
  static base::Result<fleet::UseReceipt> lost() {
    return base::fail(base::Reason::kUnavailable, "lost");
  }

  base::Random* random_;
  tenancy::Actor agent_{"agent", tenancy::Role::kAgent, "node-1"};
  control::State state_{std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in())};
  std::vector<fleet::UseReport> sent_;
  fleet::UseReceipt kept_;
};

class UseDelivery : public testing::TestWithParam<std::uint64_t> {
 protected:
  UseDelivery() { std::filesystem::create_directories(folder_); }
  ~UseDelivery() override { std::filesystem::remove_all(folder_); }

  /// A new agent process: nothing but the file is left.
  void restart() {
    sender_.reset();
    std::string trouble;
    meter_ = std::make_unique<Meter>(catalog_, file_.load(trouble));
    EXPECT_EQ(trouble, "");
    sender_ = std::make_unique<UseSender>("node-1", *meter_, file_, chaos_,
                                          UseSenderOptions{.batch = 7s, .save = 1s, .retry = 2s});
  }
  void second() {
    const std::vector<Holding> holdings = {
        {.device = "MIG-a", .lease = LeaseId(1), .part = base::fraction_of(1, 7)},
        {.device = "MIG-b", .lease = LeaseId(2), .part = base::fraction_of(1, 7)}};
    meter_->sample(driver_, driver_.observe(), holdings, now_);
    // Whoever takes a device over is charged from then on: the spans here are below the second
    // between two samples, so that after the first, which counts nothing, all of it is theirs.
    for (const auto& completion : driver_.poll()) meter_->take(completion);
    sender_->turn(now_);
    now_ += 1s;
  }

  const std::string folder_ = testing::TempDir() + "use-delivery-" + std::to_string(getpid());
  const std::shared_ptr<const catalog::Catalog> catalog_ =
      std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  base::SeededRandom random_{GetParam()};
  MovingDriver driver_{random_};
  Chaos chaos_{random_};
  const UseFile file_{folder_ + "/use"};
  std::unique_ptr<Meter> meter_;
  std::unique_ptr<UseSender> sender_;
  Instant now_{std::chrono::hours(490'000)};
};

TEST_P(UseDelivery, IsExactToTheSample) {
  restart();
  second();  // in which both leases begin
  Use first_a = driver_.truth("MIG-a"), first_b = driver_.truth("MIG-b");
  int restarts = 0;
  for (int i = 0; i < 600; ++i) {
    second();
    if (!random_.chance(1, 100)) continue;
    ++restarts;
    restart();
    const auto a = driver_.truth("MIG-a"), b = driver_.truth("MIG-b");
    second();  // a new process sees the holdings for the first time: this second is unknown
    const auto skipped = [](Use& sum, const Use& before, const Use& after) {
      sum.busy += after.busy - before.busy;
      sum.memory += after.memory - before.memory;
      sum.measured += after.measured - before.measured;
    };
    skipped(first_a, a, driver_.truth("MIG-a"));
    skipped(first_b, b, driver_.truth("MIG-b"));
  }
  chaos_.calm = true;
  meter_->close();
  for (int i = 0; i < 5; ++i) sender_->turn(now_ += 1min);
  EXPECT_TRUE(meter_->book().batches().empty());
  const auto expect = [&](LeaseId lease, const Use& truth, const Use& unknown) {
    const auto& counted = chaos_.counted(lease);
    EXPECT_EQ(counted.busy, truth.busy - unknown.busy);
    EXPECT_EQ(counted.memory, truth.memory - unknown.memory);
    EXPECT_EQ(counted.measured, truth.measured - unknown.measured);
    EXPECT_GT(counted.energy, fleet::Energy(0));
  };
  expect(LeaseId(1), driver_.truth("MIG-a"), first_a);
  expect(LeaseId(2), driver_.truth("MIG-b"), first_b);
  EXPECT_LT(chaos_.records(), 120U) << "one record for a batch, not for a sample";
  EXPECT_GT(restarts, 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, UseDelivery, testing::Range<std::uint64_t>(1, 21));

class Listening final : public UseTransport {
 public:
  base::Result<fleet::UseReceipt> deliver(const fleet::UseReport& report) override {
    heard.push_back(report);
    return fleet::UseReceipt{report.stream, report.batches.back().sequence};
  }
  std::vector<fleet::UseReport> heard;
};

TEST(UseSender, AMessageStaysSmallHoweverMuchThereIsToTell) {
  UseBook book("s1");
  for (int batch = 0; batch < 3; ++batch) {
    for (std::uint64_t lease = 1; lease <= 400; ++lease)
      book.add(LeaseId(lease), {fleet::BusyTime(1), {}, {}, 1s});
    book.close();
  }
  Meter meter(nullptr, book);
  const UseFile nowhere{std::string()};
  Listening plane;
  UseSender sender("node-1", meter, nowhere, plane);
  sender.turn(Instant(1h));
  ASSERT_EQ(plane.heard.size(), 2U);
  EXPECT_EQ(plane.heard[0].batches.size(), 2U);
  EXPECT_EQ(plane.heard[1].batches.front().sequence, 3U);
  EXPECT_TRUE(meter.book().batches().empty());
}

}  // namespace
}  // namespace tessera::agent
