#include <algorithm>
#include <fstream>

#include "fakes/nvml/driver_rig.h"
#include "fakes/nvml/mig_rules.h"

namespace tessera::fakes {
namespace {

using namespace std::chrono_literals;
using device::Condition;
using device::CreateInstance;
using device::DestroyInstance;
using device::ErrorCode;
using device::GpuState;
using device::InstanceSpec;
using device::nvml::NvmlDriver;
using device::nvml::NvmlOptions;

constexpr InstanceSpec kSmall{0, {0, 1}};  // 1g.10gb at 0
constexpr InstanceSpec kLarge{2, {4, 4}};  // 3g.40gb at 4

class NvmlDriverTest : public testing::Test {
 protected:
  void open(NvmlOptions options) {
    driver_.reset();
    auto opened = machine_.open(options);
    ASSERT_TRUE(opened) << base::to_string(opened.error());
    driver_ = std::move(*opened);
  }
  void open() { open(machine_.options()); }

  /// The completion of one operation, or none within ten seconds.
  std::optional<device::Completion> run(const device::Operation& operation) {
    const auto id = driver_->submit(operation);
    if (!id) return device::Completion{0, id.error(), {}, {}};
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < until) {
      for (const auto& completion : driver_->poll())
        if (completion.id == *id) return completion;
      std::this_thread::sleep_for(2ms);
    }
    return std::nullopt;
  }
  std::optional<ErrorCode> outcome(const device::Operation& operation) {
    const auto done = run(operation);
    if (!done) {
      ADD_FAILURE() << device::describe(operation) << " never ended";
      return std::nullopt;
    }
    return done->error ? std::optional(done->error->code) : std::nullopt;
  }
  GpuState gpu(device::GpuNumber number = 0) {
    const auto observation = driver_->observe();
    const auto* found = observation.find(number);
    EXPECT_NE(found, nullptr);
    return found == nullptr ? GpuState{} : *found;
  }
  void fault(std::string name, std::uint32_t value = 1, unsigned number = 0) {
    EXPECT_TRUE(inject(machine_.path(), {.name = std::move(name), .gpu = number, .value = value}));
  }
  /// As another program would: a GPU instance that nobody wrote down, with a MIG device or without.
  void make_behind_its_back(std::size_t profile, unsigned start, bool device) {
    const auto file = MachineFile::open(machine_.path(), MachineFile::Access::kChange).value();
    GpuRecord record;
    ASSERT_TRUE(file.read(0, record));
    const auto& model = catalog_.model(catalog_.find("H100-80GB-SXM5").value());
    InstanceRecord* made = nullptr;
    ASSERT_EQ(create_instance(record, model, profile, start, made), abi::kSuccess);
    ComputeInstanceRecord* compute = nullptr;
    const auto whole = compute_profiles(model.profiles[profile]).back();
    if (device) {
      ASSERT_EQ(create_compute(record, *made, whole, std::nullopt, compute), abi::kSuccess);
    }
    ASSERT_TRUE(file.write(0, record));
  }
  std::size_t instances_in_the_machine() {
    const auto machine = look_at(machine_.path()).value();
    return static_cast<std::size_t>(std::ranges::count_if(
        machine.gpus[0].instances, [](const auto& each) { return each.serial != 0; }));
  }

  catalog::Catalog catalog_ = catalog::Catalog::built_in();
  PretendedMachine machine_{{.models = {"H100-80GB-SXM5", "H100-80GB-SXM5"}, .mig = true}};
  std::unique_ptr<NvmlDriver> driver_;
};

TEST_F(NvmlDriverTest, SaysWhatIsMissing) {
  const auto complaint = [&](const NvmlOptions& options) {
    const auto opened = machine_.open(options);
    return opened ? std::string("nothing") : base::to_string(opened.error());
  };
  auto options = machine_.options();
  options.library = "/nowhere/libnvidia-ml.so.1";
  EXPECT_NE(complaint(options).find("cannot load"), std::string::npos) << complaint(options);
  options.library = "libc.so.6";
  EXPECT_NE(complaint(options).find("470"), std::string::npos) << complaint(options);
  fault("driver", abi::kDriverNotLoaded);
  EXPECT_NE(complaint(machine_.options()).find("not loaded"), std::string::npos);
  fault("driver", abi::kVersionMismatch);
  EXPECT_NE(complaint(machine_.options()).find("differ in version"), std::string::npos);
  fault("driver", abi::kNoPermission);
  EXPECT_NE(complaint(machine_.options()).find("run as root"), std::string::npos);
  fault("driver", abi::kSuccess);
  ASSERT_TRUE(
      make_machine(machine_.path(), {.models = {"T4-16GB"}, .driver_version = "460.32.03"}));
  EXPECT_NE(complaint(machine_.options()).find("too old"), std::string::npos);
  ASSERT_TRUE(make_machine(machine_.path(), {.models = {"T4-16GB"}}));
  fault("lost");
  EXPECT_NE(complaint(machine_.options()).find("fallen off the bus"), std::string::npos);
}

TEST_F(NvmlDriverTest, AHungCallCostsItsGpuAlone) {
  auto options = machine_.options();
  options.call_timeout = 300ms;
  open(options);
  fault("hang");
  EXPECT_EQ(outcome(CreateInstance{0, kSmall}), ErrorCode::kTimeout);
  EXPECT_EQ(gpu(0).condition, Condition::kHung);
  EXPECT_EQ(outcome(CreateInstance{1, kSmall}), std::nullopt) << "the neighbour works";
  EXPECT_EQ(gpu(1).instances.size(), 1U);
  EXPECT_EQ(outcome(CreateInstance{0, kLarge}), ErrorCode::kTimeout) << "nothing passes it";
  const auto before = std::chrono::steady_clock::now();
  driver_->observe();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 200ms) << "nor does it keep the observer";
  fault("hang", 0);
  const auto until = std::chrono::steady_clock::now() + 5s;
  while (gpu(0).condition != Condition::kAnswering && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(10ms);
  EXPECT_EQ(gpu(0).condition, Condition::kAnswering);
  EXPECT_EQ(gpu(0).instances.size(), 1U) << "what hung took effect after all";
  EXPECT_TRUE(driver_->poll().empty()) << "and is not told twice";
}

TEST_F(NvmlDriverTest, IsGoneInBoundedTimeThoughACallHangs) {
  open();
  fault("hang");
  ASSERT_TRUE(driver_->submit(CreateInstance{0, kSmall}));
  std::this_thread::sleep_for(20ms);
  const auto before = std::chrono::steady_clock::now();
  driver_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 4s);
  fault("hang", 0);
  std::this_thread::sleep_for(100ms);  // the thread left behind ends on its own
}

TEST_F(NvmlDriverTest, ALostGpuIsToldAndComesBack) {
  open();
  fault("lost", 1, 1);
  EXPECT_EQ(gpu(1).condition, Condition::kLost);
  EXPECT_TRUE(gpu(1).uuid.starts_with("GPU-"));
  EXPECT_EQ(outcome(CreateInstance{1, kSmall}), ErrorCode::kGpuLost);
  EXPECT_EQ(gpu(0).condition, Condition::kAnswering);
  const auto until = std::chrono::steady_clock::now() + 3s;
  while (gpu(1).xids.empty() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(20ms);
  EXPECT_EQ(gpu(1).xids, std::vector{79});
  fault("lost", 0, 1);
  EXPECT_EQ(gpu(1).condition, Condition::kAnswering);
}

TEST_F(NvmlDriverTest, WhatOthersMadeIsShownAndLeftAlone) {
  open();
  ASSERT_EQ(outcome(CreateInstance{0, kSmall}), std::nullopt);
  make_behind_its_back(4, 4, true);  // the catalog's fifth profile: 3g.40gb
  const auto state = gpu();
  ASSERT_EQ(state.instances.size(), 2U);
  EXPECT_FALSE(state.instances[0].foreign);
  EXPECT_TRUE(state.instances[1].foreign);
  EXPECT_EQ(state.instances[1].spec, kLarge);
  EXPECT_EQ(outcome(DestroyInstance{0, state.instances[1].device}), ErrorCode::kNotPermitted);
  open();
  EXPECT_FALSE(gpu().instances[0].foreign) << "what it made is known to the next one";
  EXPECT_TRUE(gpu().instances[1].foreign);
  auto adopting = machine_.options();
  adopting.adopt = true;
  open(adopting);
  EXPECT_FALSE(gpu().instances[1].foreign);
  EXPECT_EQ(outcome(DestroyInstance{0, gpu().instances[1].device}), std::nullopt);
}

TEST_F(NvmlDriverTest, HalfMadeInstancesOfItsOwnAreTakenAway) {
  open();
  const auto uuid = gpu().uuid;
  driver_.reset();
  // Killed after the GPU instance was made: the wish is written down, there is no device.
  {
    std::ifstream boot("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(boot, id);
    device::nvml::Ledger(machine_.options().ledger, id).intend(uuid, kLarge);
  }
  make_behind_its_back(4, 4, false);
  make_behind_its_back(0, 0, false);  // somebody else's, just as unfinished
  EXPECT_EQ(instances_in_the_machine(), 2U);
  open();
  ASSERT_EQ(gpu().instances.size(), 1U);
  EXPECT_TRUE(gpu().instances[0].foreign);
  EXPECT_EQ(instances_in_the_machine(), 1U);
}

TEST_F(NvmlDriverTest, AFailedCreateLeavesNothing) {
  open();
  for (const char* name : {"create", "create-compute"}) {
    fault(name);
    EXPECT_EQ(outcome(CreateInstance{0, kSmall}), ErrorCode::kUnknown);
    EXPECT_EQ(instances_in_the_machine(), 0U) << name;
  }
  fault("no-permission");
  EXPECT_EQ(outcome(CreateInstance{0, kSmall}), ErrorCode::kNotPermitted);
  fault("no-permission", 0);
  EXPECT_EQ(outcome(CreateInstance{0, kSmall}), std::nullopt);
}

TEST_F(NvmlDriverTest, LeftOverMemoryIsNotClean) {
  open();
  const auto made = run(CreateInstance{0, kSmall});
  ASSERT_TRUE(made && !made->error);
  const auto id = gpu().instances[0].driver_id;
  const FaultOrder leftover{.name = "leftover", .value = 700, .gpu_instance = id};
  ASSERT_TRUE(inject(machine_.path(), leftover));
  EXPECT_EQ(outcome(device::Scrub{0, made->device, {}}), ErrorCode::kInUse);
  ASSERT_TRUE(inject(machine_.path(), {.name = "leftover", .value = 0, .gpu_instance = id}));
  EXPECT_EQ(outcome(device::Scrub{0, made->device, {}}), std::nullopt);
}

TEST_F(NvmlDriverTest, MeasuresEveryInstanceInOnePass) {
  open();
  const auto first = run(CreateInstance{0, kSmall});
  const auto second = run(CreateInstance{0, kLarge});
  ASSERT_TRUE(first && second);
  machine_.start(second->device, fleet::LeaseId(1));
  EXPECT_TRUE(gpu().in_use());
  const auto use = run(device::ReadUse{0});
  ASSERT_TRUE(use && !use->error);
  ASSERT_EQ(use->samples.size(), 2U);
  EXPECT_EQ(use->samples[0].busy_permille, 0);
  EXPECT_NEAR(use->samples[1].busy_permille.value(), 400, 20);
  EXPECT_EQ(use->samples[1].memory, base::MiB(1024));
  EXPECT_NEAR(use->samples[1].sm_permille.value(), 400, 20);
  EXPECT_GT(use->reading.milliwatts.value(), 0);
  EXPECT_GT(use->reading.celsius.value(), 0);
}

TEST_F(NvmlDriverTest, SpansFollowOneAnotherWithoutAGap) {
  open();
  const auto made = run(CreateInstance{0, kSmall});
  ASSERT_TRUE(made && !made->error);
  ASSERT_TRUE(run(device::ReadUse{0}));
  const auto begin = std::chrono::steady_clock::now();
  base::Duration sum{};
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(i == 2 ? 20ms : 150ms);  // once too soon to measure anything
    const auto use = run(device::ReadUse{0});
    ASSERT_TRUE(use && !use->error);
    EXPECT_EQ(use->samples[0].busy_permille.has_value(), i != 2);
    sum += use->samples[0].span;
  }
  const auto passed =
      std::chrono::duration_cast<base::Duration>(std::chrono::steady_clock::now() - begin);
  EXPECT_LE(passed - sum, 40ms);
  EXPECT_GE(passed - sum, -40ms);
}

TEST_F(NvmlDriverTest, TellsTheTenantsOfASharedGpuApart) {
  open();
  const auto device = gpu().uuid;
  ASSERT_EQ(outcome(device::SetMigMode{0, false}), std::nullopt);
  machine_.start(device, fleet::LeaseId(1));
  machine_.start(device, fleet::LeaseId(1));
  machine_.start(device, fleet::LeaseId(2));
  EXPECT_EQ(gpu().processes.size(), 3U);
  const auto use = run(device::ReadUse{0});
  ASSERT_TRUE(use && !use->error);
  ASSERT_EQ(use->samples.size(), 3U);
  EXPECT_FALSE(use->samples[0].tenant.valid());
  EXPECT_EQ(use->samples[1].tenant, fleet::LeaseId(1));
  EXPECT_EQ(use->samples[1].busy_permille, 800) << "of its processes together";
  EXPECT_EQ(use->samples[1].memory, base::MiB(2048));
  EXPECT_EQ(use->samples[2].busy_permille, 400);
}

// Until drivers could do it, what a program took around the guard was everybody's loss.
TEST_F(NvmlDriverTest, ADriverThatCanHoldsLeasesToTheirMemory) {
  using device::nvml::MemoryLimit;
  constexpr std::uint64_t kMib = 1 << 20;
  const fleet::LeaseId lease(7), nobodys(8);
  for (const bool can : {true, false}) {
    ASSERT_TRUE(make_machine(machine_.path(), {.models = {"H100-80GB-SXM5"},
                                               .driver_version = can ? "615.71" : "580.95.05"}));
    auto options = machine_.options();
    options.limits = std::make_shared<device::nvml::MemoryLimits>();
    open(options);
    const auto uuid = gpu().uuid;
    MemoryLimit limit{base::MiB(4096), base::MiB(5120)};
    options.limits->want({{{lease, uuid}, limit}});
    machine_.start(uuid, lease);
    machine_.start(uuid, nobodys);
    gpu();
    const auto record = look_at(machine_.path()).value().gpus[0];
    EXPECT_EQ(std::string(record.limits[0].group), can ? "/groups/7" : "");
    EXPECT_EQ(std::string(record.limits[1].group), "") << "of the other nothing is wanted";
    EXPECT_EQ(options.limits->held({lease, uuid}), can ? std::optional(limit) : std::nullopt);
    if (!can) continue;
    EXPECT_EQ(record.limits[0].soft, 4096 * kMib);
    EXPECT_EQ(record.limits[0].hard, 5120 * kMib);
    limit.most = base::MiB(1'000'000);
    options.limits->want({{{lease, uuid}, limit}});
    gpu();
    const auto more = look_at(machine_.path()).value().gpus[0];
    EXPECT_GT(more.limits[0].hard, 80'000 * kMib) << "more than the GPU has is all of it";
    options.limits->want({});
    EXPECT_FALSE(options.limits->held({lease, uuid}));
  }
}

}  // namespace
}  // namespace tessera::fakes
