#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "agent/agent.h"
#include "agent/test_bench.h"
#include "agent/test_control.h"
#include "base/random.h"

/// Random leases, faults, restarts and a bad network against a small control plane; every promise
/// of agent.h is checked at every step, and after the storm the node must be as the target says.
namespace tessera::agent {
namespace {

using namespace std::chrono_literals;
using base::Instant;
using device::ErrorCode;
using device::GpuState;
using device::Operation;
using device::OperationKind;
using fleet::LeaseId;
using fleet::NodeReport;
using fleet::NodeTarget;
using fleet::SlicePhase;
using fleet::SliceStatus;

constexpr std::size_t kGpus = 3;
constexpr LeaseId kStranger{1'000'000};  ///< a process of nobody the control plane knows

/// Looks over the agent's shoulder: what it asks for must be allowed at that moment.
class Auditor final : public device::Driver {
 public:
  Auditor(device::Driver& inner, device::simulated::Machine& machine, const FakeControl& control)
      : inner_(inner), machine_(machine), control_(control) {}

  device::Capabilities capabilities() const override { return inner_.capabilities(); }
  std::vector<device::Completion> poll() override { return inner_.poll(); }
  device::Observation observe() override { return inner_.observe(); }
  std::optional<Instant> next_completion() const override { return inner_.next_completion(); }
  std::expected<device::OperationId, device::Error> submit(Operation operation) override {
    const auto now = machine_.observe();
    const auto& gpu = *now.find(device::gpu_of(operation));
    if (const auto* destroy = std::get_if<device::DestroyInstance>(&operation)) {
      EXPECT_FALSE(gpu.held(destroy->device)) << "a held instance was to be destroyed";
    } else if (std::holds_alternative<device::SetMigMode>(operation)) {
      EXPECT_FALSE(gpu.in_use()) << "the mode of a GPU in use was to be changed";
      EXPECT_TRUE(gpu.instances.empty());
    } else if (const auto* scrub = std::get_if<device::Scrub>(&operation)) {
      for (const auto& process : gpu.processes)
        if (process.device == scrub->device &&
            (!scrub->tenant.valid() || process.tenant == scrub->tenant)) {
          EXPECT_FALSE(control_.live(process.tenant)) << "a live lease was to be scrubbed";
        }
    }
    return inner_.submit(std::move(operation));
  }

 private:
  device::Driver& inner_;
  device::simulated::Machine& machine_;
  const FakeControl& control_;
};

class Storm {
 public:
  Storm(std::string_view model, std::uint64_t seed)
      : random_(seed),
        bench_(model, kGpus, options()),
        control_(bench_.catalog_->model(bench_.index_), kGpus, random_) {
    restart();
  }

  void rage(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      if (random_.chance(1, 3)) control_.step();
      if (random_.chance(1, 6)) fault();
      if (random_.chance(1, 4)) tenants();
      exchange(true);
      tick();
    }
  }

  /// No more faults; leases stay. The node must become what the target says.
  void calm() {
    for (device::GpuNumber gpu = 0; gpu < kGpus; ++gpu) bench_.machine_.release(gpu);
    const auto seen = bench_.machine_.observe();
    for (const auto& gpu : seen.gpus)
      for (const auto& process : gpu.processes)
        if (process.tenant == kStranger) bench_.machine_.stop(process.pid);
    if (std::ranges::any_of(seen.gpus, [](const GpuState& gpu) {
          return gpu.condition == device::Condition::kLost;
        }))
      bench_.machine_.reboot();
    const auto end = bench_.clock_.now() + 15min;
    while (bench_.clock_.now() < end && !testing::Test::HasFailure()) {
      exchange(false);
      tick();
    }
  }

  void check_converged() {
    const auto target = control_.target();
    const auto& model = bench_.catalog_->model(bench_.index_);
    for (std::size_t i = 0; i < kGpus; ++i) {
      const auto gpu = bench_.gpu(static_cast<device::GpuNumber>(i));
      const auto& wanted = target.gpus[i];
      EXPECT_EQ(gpu.mig_current, wanted.mig);
      std::set<device::InstanceSpec> specs;
      for (const auto& slice : wanted.slices) {
        if (const auto* mig = std::get_if<fleet::MigSlice>(&slice.shape))
          specs.insert(device::spec_of(model, mig->instance).value());
        EXPECT_TRUE(slice.phase == SlicePhase::kIdle || slice.phase == SlicePhase::kInUse)
            << "GPU " << i << " generation " << slice.generation << " is "
            << fleet::to_string(slice.phase);
      }
      std::set<device::InstanceSpec> there;
      for (const auto& instance : gpu.instances) there.insert(instance.spec);
      EXPECT_EQ(there, specs) << "GPU " << i;
      for (const auto& told : bench_.last_.gpus.at(i).slices)
        EXPECT_TRUE(told.status == SliceStatus::kReady || told.status == SliceStatus::kClean)
            << "GPU " << i << " generation " << told.generation << ": " << told.detail;
    }
  }

  FakeControl& control() { return control_; }
  std::map<std::string, int> faults;

 private:
  static AgentOptions options() {
    AgentOptions options;
    options.patience = 2min;
    options.quarantine = 1min;
    return options;
  }

  void restart() {
    agent_.reset();
    auditor_.reset();
    bench_.restart();
    auditor_ = std::make_unique<Auditor>(*bench_.driver_, bench_.machine_, control_);
    agent_ = std::make_unique<Agent>("node-1", *auditor_, bench_.catalog_, bench_.options_);
    to_agent_.clear();  // the connection died with the process
  }

  void fault() {
    auto& machine = bench_.machine_;
    const auto gpu = static_cast<device::GpuNumber>(random_.below(kGpus));
    constexpr std::array kCodes = {ErrorCode::kInUse, ErrorCode::kNoRoom, ErrorCode::kUnknown,
                                   ErrorCode::kNotPermitted};
    switch (random_.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        ++faults["failure"];
        return machine.fail_next({gpu, static_cast<OperationKind>(random_.below(4)),
                                  kCodes[random_.below(kCodes.size())],
                                  static_cast<int>(1 + random_.below(7))});
      case 4:
        ++faults["hang"];
        return machine.hang_next(gpu);
      case 5:
      case 6:
        return machine.release(gpu);
      case 7:
        if (!random_.chance(1, 4)) return;
        ++faults["lost"];
        return machine.lose(gpu);
      case 8:
        if (!random_.chance(1, 3)) return;
        ++faults["reboot"];
        return machine.reboot();
      default:
        ++faults["restart"];
        return restart();
    }
  }

  /// Leases in use run processes, some of which die hard, and some of which end by themselves.
  void tenants() {
    const auto seen = bench_.machine_.observe();
    const auto& gpu_of_stranger = seen.gpus[random_.below(kGpus)];
    if (random_.chance(1, 6) && !gpu_of_stranger.instances.empty())
      start(gpu_of_stranger.instances.front().device, kStranger);
    for (const auto& gpu : seen.gpus)
      for (const auto& process : gpu.processes)
        if (random_.chance(1, 6)) bench_.machine_.stop(process.pid);
    if (const auto tenant = control_.tenant()) start(tenant->second, tenant->first);
  }
  /// May be refused: the device may be gone with a boot that nobody has heard of yet.
  void start(const std::string& device, LeaseId tenant) {
    (void)bench_.machine_.start({.device = device,
                                 .memory = base::MiB(256),
                                 .tenant = tenant,
                                 .linger = base::Duration(random_.below(20'000))});
  }

  /// Hands over one message each way; in a storm it may be lost, doubled or late.
  void exchange(bool storm) {
    to_agent_.push_back(control_.target());
    deliver(to_agent_, storm, [&](const NodeTarget& target) { agent_->on_target(target); });
    deliver(to_control_, storm, [&](const NodeReport& report) { control_.hear(report); });
  }
  template <class Message, class Receive>
  void deliver(std::deque<Message>& queue, bool storm, Receive receive) {
    while (!queue.empty()) {
      if (storm && random_.chance(1, 5)) return;  // late
      const Message message = queue.front();
      queue.pop_front();
      if (storm && random_.chance(1, 8)) continue;  // lost
      receive(message);
      if (!storm) continue;
      if (random_.chance(1, 8)) receive(message);
      if (random_.chance(1, 8)) queue.insert(queue.end(), message);  // again, out of order
    }
  }

  void tick() {
    const auto step = agent_->tick(bench_.clock_.now());
    if (step.report) {
      check(*step.report);
      bench_.last_ = *step.report;
      to_control_.push_back(*step.report);
    }
    bench_.clock_.pass(std::min<base::Duration>(step.wake - bench_.clock_.now(),
                                                base::Duration(1 + random_.below(2000))));
  }

  /// Nothing is called ready that is not there.
  void check(const NodeReport& report) {
    const auto seen = bench_.machine_.observe();
    for (const auto& gpu : report.gpus) {
      const auto& state = *seen.find(gpu.number);
      for (const auto& slice : gpu.slices) {
        if (slice.status != SliceStatus::kReady) continue;
        const bool whole = slice.device == state.uuid && !state.mig_current;
        const bool instance =
            std::ranges::find(state.instances, slice.device, &device::InstanceState::device) !=
            state.instances.end();
        EXPECT_TRUE(whole || instance) << slice.device << " was called ready and does not exist";
      }
    }
  }

  base::SeededRandom random_;
  Bench bench_;
  FakeControl control_;
  std::unique_ptr<Auditor> auditor_;
  std::unique_ptr<Agent> agent_;
  std::deque<NodeTarget> to_agent_;
  std::deque<NodeReport> to_control_;
};

class AgentStormTest : public testing::TestWithParam<const char*> {};

TEST_P(AgentStormTest, KeepsItsPromisesAndConverges) {
  constexpr std::uint64_t kSeeds = 60;
  std::uint64_t in_use = 0;
  std::uint64_t cleaned = 0;
  std::map<std::string, int> faults;
  for (std::uint64_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Storm storm(GetParam(), seed);
    storm.rage(600);
    storm.calm();
    storm.check_converged();
    in_use += storm.control().in_use;
    cleaned += storm.control().cleaned;
    for (const auto& [name, count] : storm.faults) faults[name] += count;
  }
  EXPECT_GT(in_use, kSeeds * 5) << "too little happened";
  EXPECT_GT(cleaned, kSeeds * 5) << "too little happened";
  for (const auto* name : {"failure", "hang", "lost", "reboot", "restart"})
    EXPECT_GT(faults[name], 5) << name;
}

INSTANTIATE_TEST_SUITE_P(Models, AgentStormTest,
                         testing::Values("H100-80GB-SXM5", "A30-24GB", "RTX-PRO-6000-BSE-96GB"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace tessera::agent
