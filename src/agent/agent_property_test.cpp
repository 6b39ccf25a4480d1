#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "agent/agent.h"
#include "agent/test_bench.h"
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
using fleet::TargetSlice;

constexpr std::size_t kGpus = 3;

/// What the control plane would do, as simply as possible.
class FakeControl {
 public:
  FakeControl(const catalog::GpuModel& model, base::Random& random)
      : model_(model), random_(random), gpus_(kGpus) {
    for (std::size_t i = 0; i < kGpus; ++i) gpus_[i].number = static_cast<std::uint16_t>(i);
  }

  NodeTarget target() const { return {"node-1", revision_, gpus_}; }

  /// One random wish: a grant, an end, or an idle instance retired.
  void step() {
    ++revision_;
    auto& gpu = gpus_[random_.below(gpus_.size())];
    auto& slices = gpu.slices;
    const auto wish = random_.below(4);
    if (wish == 0) return end(gpu);
    if (wish == 1) {
      std::erase_if(slices, [&](const auto& each) {
        return each.phase == SlicePhase::kIdle && random_.chance(1, 2);
      });
      return;
    }
    grant(gpu);
  }

  void hear(const NodeReport& report) {
    ++revision_;
    for (const auto& told : report.gpus) {
      if (told.number >= gpus_.size()) continue;
      auto& gpu = gpus_[told.number];
      if (gpu.uuid.empty()) gpu.uuid = told.uuid;
      for (const auto& slice : told.slices) hear(gpu, slice);
    }
  }

  const TargetSlice* find(LeaseId lease) const {
    for (const auto& gpu : gpus_)
      for (const auto& slice : gpu.slices)
        if (slice.holder == lease) return &slice;
    return nullptr;
  }
  bool live(LeaseId lease) const {
    const auto* slice = find(lease);
    return slice != nullptr &&
           (slice->phase == SlicePhase::kPreparing || slice->phase == SlicePhase::kInUse);
  }
  /// A lease in use and its device, at random; none if there is none.
  std::optional<std::pair<LeaseId, std::string>> tenant() {
    if (devices_.empty()) return std::nullopt;
    auto entry = devices_.begin();
    std::advance(entry, static_cast<std::ptrdiff_t>(random_.below(devices_.size())));
    const auto* slice = find(entry->first);
    if (slice == nullptr || slice->phase != SlicePhase::kInUse) return std::nullopt;
    return *entry;
  }
  void end_all() {
    ++revision_;
    for (auto& gpu : gpus_) end(gpu);
  }
  std::uint64_t granted = 0;
  std::uint64_t in_use = 0;
  std::uint64_t cleaned = 0;
  std::uint64_t failed = 0;

 private:
  void hear(fleet::GpuTarget& gpu, const fleet::SliceReport& told) {
    const auto slice = std::ranges::find(gpu.slices, told.generation, &TargetSlice::generation);
    if (slice == gpu.slices.end()) return;
    const bool held = slice->phase == SlicePhase::kPreparing || slice->phase == SlicePhase::kInUse;
    if (told.status == SliceStatus::kReady && held) {
      in_use += slice->phase == SlicePhase::kPreparing;
      slice->phase = SlicePhase::kInUse;
      devices_[slice->holder] = told.device;
    } else if (told.status == SliceStatus::kFailed && held) {
      ++failed;
      slice->phase = SlicePhase::kFailed;
    } else if (told.status == SliceStatus::kClean && !held && slice->phase != SlicePhase::kIdle) {
      ++cleaned;
      devices_.erase(slice->holder);
      slice->holder = {};
      slice->phase = SlicePhase::kIdle;
      if (!std::holds_alternative<fleet::MigSlice>(slice->shape) || random_.chance(1, 3))
        gpu.slices.erase(slice);
    }
  }

  void end(fleet::GpuTarget& gpu) {
    for (auto& slice : gpu.slices)
      if (slice.phase == SlicePhase::kInUse || slice.phase == SlicePhase::kPreparing)
        if (random_.chance(1, 2)) slice.phase = SlicePhase::kScrubbing;
  }

  void grant(fleet::GpuTarget& gpu) {
    auto& slices = gpu.slices;
    const bool empty = std::ranges::all_of(
        slices, [](const auto& slice) { return slice.phase == SlicePhase::kIdle; });
    const bool shared =
        !slices.empty() && std::holds_alternative<fleet::ShareSlice>(slices.front().shape);
    if (empty && random_.chance(1, 4)) {
      slices.clear();
      gpu.mig = false;
      if (random_.chance(1, 2)) return add(gpu, fleet::WholeSlice{});
      return add(gpu, fleet::ShareSlice{base::MiB(1024), base::MilliShare(100)});
    }
    if (shared) return add(gpu, fleet::ShareSlice{base::MiB(1024), base::MilliShare(100)});
    if (!empty && !gpu.mig) return;
    gpu.mig = true;
    const auto instance =
        static_cast<catalog::InstanceIndex>(random_.below(model_.layouts.instances().size()));
    catalog::Layout held = 0;
    for (const auto& slice : slices)
      if (slice.phase != SlicePhase::kIdle)
        held |= catalog::bit(std::get<fleet::MigSlice>(slice.shape).instance);
    if ((held & catalog::bit(instance)) != 0 ||
        !model_.layouts.legal(held | catalog::bit(instance)))
      return;
    std::erase_if(slices, [&](const auto& slice) {
      const auto other = std::get<fleet::MigSlice>(slice.shape).instance;
      return slice.phase == SlicePhase::kIdle &&
             (model_.layouts.conflicts(instance) & catalog::bit(other)) != 0;
    });
    catalog::Layout layout = catalog::bit(instance);
    for (const auto& slice : slices)
      layout |= catalog::bit(std::get<fleet::MigSlice>(slice.shape).instance);
    if (!model_.layouts.legal(layout)) return;
    add(gpu, fleet::MigSlice{instance});
  }

  void add(fleet::GpuTarget& gpu, fleet::SliceShape shape) {
    ++granted;
    ++leases_;
    gpu.slices.push_back(
        {std::move(shape), ++generation_, SlicePhase::kPreparing, LeaseId(leases_)});
  }

  const catalog::GpuModel& model_;
  base::Random& random_;
  std::vector<fleet::GpuTarget> gpus_;
  std::map<LeaseId, std::string> devices_;
  std::uint64_t revision_ = 1;
  std::uint64_t generation_ = 0;
  std::uint64_t leases_ = 0;
};

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
        control_(bench_.catalog_->model(bench_.index_), random_) {
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
    for (const auto& gpu : seen.gpus)
      for (const auto& process : gpu.processes)
        if (random_.chance(1, 6)) bench_.machine_.stop(process.pid);
    if (const auto tenant = control_.tenant())
      // May be refused: the device is gone with a boot that the control plane has not heard of.
      (void)bench_.machine_.start({.device = tenant->second,
                                   .memory = base::MiB(256),
                                   .tenant = tenant->first,
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
