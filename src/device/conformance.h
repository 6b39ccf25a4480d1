#pragma once

#include <algorithm>
#include <bit>
#include <optional>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "base/random.h"
#include "catalog/gpu_model.h"
#include "device/driver.h"

/// What every Driver must do, as a test suite. A driver's own test writes a Rig and says
///
///     INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, DriverConformance, SimulatedRig);
namespace tessera::device {

/// A machine to test a driver on: two idle GPUs of one MIG-capable model, MIG mode off.
class Rig {
 public:
  virtual ~Rig() = default;
  virtual Driver& driver() = 0;
  /// Ends the driver and makes a new one on the same machine.
  virtual void restart_driver() = 0;
  virtual const catalog::GpuModel& model() const = 0;
  virtual void pass(Duration span) = 0;
  /// Runs a process with 1 GiB on a device, as `tenant`; its pid.
  virtual std::uint32_t start(const std::string& device, LeaseId tenant) = 0;
  virtual void stop(std::uint32_t pid) = 0;
};

template <class RigType>
class DriverConformance : public testing::Test {
 protected:
  Driver& driver() { return rig_.driver(); }
  const catalog::GpuModel& model() const { return rig_.model(); }

  /// Runs one operation to its end; the completion, or a failure of the test when none comes.
  Completion run(const Operation& operation) {
    const auto id = driver().submit(operation);
    EXPECT_TRUE(id.has_value()) << id.error().detail;
    if (!id) return {0, id.error(), {}, {}};
    for (int tries = 0; tries < 5000; ++tries) {
      for (const auto& completion : driver().poll()) {
        EXPECT_EQ(completion.id, *id);
        return completion;
      }
      rig_.pass(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << describe(operation) << " never ended";
    return {*id, Error{ErrorCode::kTimeout, "never ended"}, {}, {}};
  }
  void must(const Operation& operation) {
    const auto done = run(operation);
    EXPECT_FALSE(done.error) << describe(operation) << ": " << done.error->detail;
  }
  /// The code an operation is refused with; none where it succeeds.
  std::optional<ErrorCode> refusal(const Operation& operation) {
    const auto done = run(operation);
    if (!done.error) return std::nullopt;
    EXPECT_FALSE(done.error->detail.empty());
    return done.error->code;
  }
  InstanceSpec spec(catalog::InstanceIndex index) const {
    const auto found = spec_of(model(), index);
    EXPECT_TRUE(found.has_value());
    return found.value_or(InstanceSpec{});
  }
  std::string create(catalog::InstanceIndex index) {
    const auto done = run(CreateInstance{0, spec(index)});
    EXPECT_FALSE(done.error) << done.error->detail;
    return done.device;
  }
  GpuState gpu(GpuNumber number = 0) {
    const auto observation = driver().observe();
    const auto* found = observation.find(number);
    EXPECT_NE(found, nullptr);
    return found == nullptr ? GpuState{} : *found;
  }
  catalog::Layout layout() {
    catalog::Layout layout = 0;
    for (const auto& instance : gpu().instances) {
      const auto index = find_instance(model(), instance.spec);
      EXPECT_TRUE(index.has_value());
      if (index) layout |= catalog::bit(*index);
    }
    return layout;
  }
  /// An instance that leaves room for others: the first of the smallest profile.
  catalog::InstanceIndex small() const {
    const auto all = model().layouts.instances();
    const auto least =
        std::ranges::min_element(all, {}, [](const auto& each) { return each.placement.size; });
    return static_cast<catalog::InstanceIndex>(least - all.begin());
  }
  /// The instance that takes the whole axis, so that nothing else fits.
  catalog::InstanceIndex widest() const {
    const auto all = model().layouts.instances();
    const auto most =
        std::ranges::max_element(all, {}, [](const auto& each) { return each.placement.size; });
    return static_cast<catalog::InstanceIndex>(most - all.begin());
  }

  RigType rig_;
};

TYPED_TEST_SUITE_P(DriverConformance);

TYPED_TEST_P(DriverConformance, FindsTheGpus) {
  const auto observation = this->driver().observe();
  ASSERT_EQ(observation.gpus.size(), 2U);
  EXPECT_FALSE(observation.boot.empty());
  std::set<std::string> uuids;
  for (const auto& gpu : observation.gpus) {
    EXPECT_TRUE(gpu.uuid.starts_with("GPU-"));
    EXPECT_NE(std::ranges::find(this->model().pci_ids, gpu.pci_id), this->model().pci_ids.end());
    EXPECT_EQ(gpu.condition, Condition::kAnswering);
    EXPECT_FALSE(gpu.mig_current);
    EXPECT_FALSE(gpu.in_use());
    uuids.insert(gpu.uuid);
  }
  EXPECT_EQ(uuids.size(), 2U);
  EXPECT_TRUE(this->driver().capabilities().supports(catalog::Technology::kMig));
  EXPECT_TRUE(this->driver().capabilities().supports(catalog::Technology::kWhole));
}

TYPED_TEST_P(DriverConformance, RefusesAnInstanceWhileMigModeIsOff) {
  EXPECT_EQ(this->refusal(CreateInstance{0, this->spec(this->small())}), ErrorCode::kWrongOrder);
}

TYPED_TEST_P(DriverConformance, MakesEveryInstanceTheModelAllows) {
  this->must(SetMigMode{0, true});
  std::set<std::string> uuids;
  const auto all = this->model().layouts.instances();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto index = static_cast<catalog::InstanceIndex>(i);
    const auto device = this->create(index);
    EXPECT_TRUE(device.starts_with("MIG-")) << device;
    EXPECT_TRUE(uuids.insert(device).second) << "UUIDs are never used again";
    const auto gpu = this->gpu();
    ASSERT_EQ(gpu.instances.size(), 1U);
    EXPECT_EQ(gpu.instances[0].spec, this->spec(index));
    EXPECT_EQ(gpu.instances[0].device, device);
    EXPECT_EQ(gpu.instances[0].memory_used, MiB(0));
    this->must(DestroyInstance{0, device});
    EXPECT_TRUE(this->gpu().instances.empty());
  }
}

TYPED_TEST_P(DriverConformance, RefusesWhatTheModelLacks) {
  this->must(SetMigMode{0, true});
  InstanceSpec odd = this->spec(this->widest());
  odd.placement.start = 1;
  EXPECT_EQ(this->refusal(CreateInstance{0, odd}), ErrorCode::kInvalidPlacement);
  odd = this->spec(this->small());
  odd.nvml_profile = 99;
  EXPECT_EQ(this->refusal(CreateInstance{0, odd}), ErrorCode::kInvalidPlacement);
  EXPECT_TRUE(this->gpu().instances.empty());
}

TYPED_TEST_P(DriverConformance, HoldsExactlyTheLegalLayouts) {
  this->must(SetMigMode{0, true});
  base::SeededRandom random(7);
  const auto count = this->model().layouts.instances().size();
  for (int round = 0; round < 120; ++round) {
    const auto index = static_cast<catalog::InstanceIndex>(random.below(count));
    const auto before = this->layout();
    if ((before & catalog::bit(index)) != 0) {
      const auto gpu = this->gpu();
      const auto found = std::ranges::find(gpu.instances, this->spec(index), &InstanceState::spec);
      ASSERT_NE(found, gpu.instances.end());
      this->must(DestroyInstance{0, found->device});
      EXPECT_EQ(this->layout(), before & ~catalog::bit(index));
      continue;
    }
    const bool legal = this->model().layouts.legal(before | catalog::bit(index));
    const auto refused = this->refusal(CreateInstance{0, this->spec(index)});
    EXPECT_EQ(refused, legal ? std::nullopt : std::optional(ErrorCode::kNoRoom));
    EXPECT_EQ(this->layout(), legal ? before | catalog::bit(index) : before);
  }
}

TYPED_TEST_P(DriverConformance, ChangesTheModeOnlyOfAnIdleGpu) {
  const auto pid = this->rig_.start(this->gpu().uuid, LeaseId(1));
  EXPECT_EQ(this->refusal(SetMigMode{0, true}), ErrorCode::kInUse);
  EXPECT_FALSE(this->gpu().mig_current);
  this->rig_.stop(pid);
  this->must(SetMigMode{0, true});
  EXPECT_TRUE(this->gpu().mig_current);
  this->must(SetMigMode{0, true});
  const auto device = this->create(this->small());
  EXPECT_EQ(this->refusal(SetMigMode{0, false}), ErrorCode::kWrongOrder);
  this->must(DestroyInstance{0, device});
  this->must(SetMigMode{0, false});
  EXPECT_FALSE(this->gpu().mig_current);
  EXPECT_FALSE(this->gpu(1).mig_current) << "the neighbour has its own mode";
}

TYPED_TEST_P(DriverConformance, NeverDestroysAHeldInstance) {
  this->must(SetMigMode{0, true});
  const auto device = this->create(this->small());
  const auto pid = this->rig_.start(device, LeaseId(3));
  const auto gpu = this->gpu();
  EXPECT_TRUE(gpu.held(device));
  ASSERT_EQ(gpu.processes.size(), 1U);
  EXPECT_EQ(gpu.processes[0].pid, pid);
  EXPECT_EQ(gpu.processes[0].tenant, LeaseId(3));
  EXPECT_GT(gpu.instances[0].memory_used, MiB(0));
  EXPECT_EQ(this->refusal(DestroyInstance{0, device}), ErrorCode::kInUse);
  EXPECT_EQ(this->gpu().instances.size(), 1U);
  this->rig_.stop(pid);
  this->must(DestroyInstance{0, device});
}

TYPED_TEST_P(DriverConformance, ScrubEndsWhatIsLeftOnThatDeviceOnly) {
  this->must(SetMigMode{0, true});
  const auto first = this->create(this->small());
  const auto addable = this->model().layouts.addable(this->layout());
  ASSERT_NE(addable, 0U);
  const auto second = this->create(static_cast<catalog::InstanceIndex>(std::countr_zero(addable)));
  this->rig_.start(first, LeaseId(1));
  const auto neighbour = this->rig_.start(second, LeaseId(2));
  this->must(Scrub{0, first, {}});
  const auto gpu = this->gpu();
  EXPECT_FALSE(gpu.held(first));
  ASSERT_EQ(gpu.processes.size(), 1U);
  EXPECT_EQ(gpu.processes[0].pid, neighbour);
}

TYPED_TEST_P(DriverConformance, ScrubOfAShareSparesItsNeighbours) {
  const auto uuid = this->gpu().uuid;
  this->rig_.start(uuid, LeaseId(1));
  const auto neighbour = this->rig_.start(uuid, LeaseId(2));
  this->must(Scrub{0, uuid, LeaseId(1)});
  const auto gpu = this->gpu();
  ASSERT_EQ(gpu.processes.size(), 1U);
  EXPECT_EQ(gpu.processes[0].pid, neighbour);
}

TYPED_TEST_P(DriverConformance, NamesWhatItDoesNotFind) {
  this->must(SetMigMode{0, true});
  EXPECT_EQ(this->refusal(DestroyInstance{0, "MIG-gone"}), ErrorCode::kNotFound);
  EXPECT_EQ(this->refusal(Scrub{0, "MIG-gone", {}}), ErrorCode::kNotFound);
  const auto submitted = this->driver().submit(ReadUse{7});
  ASSERT_FALSE(submitted.has_value());
  EXPECT_EQ(submitted.error().code, ErrorCode::kNotFound);
}

TYPED_TEST_P(DriverConformance, WhatItMadeOutlivesIt) {
  this->must(SetMigMode{0, true});
  const auto device = this->create(this->small());
  this->rig_.restart_driver();
  const auto gpu = this->gpu();
  EXPECT_TRUE(gpu.mig_current);
  ASSERT_EQ(gpu.instances.size(), 1U);
  EXPECT_EQ(gpu.instances[0].device, device);
}

TYPED_TEST_P(DriverConformance, BoundsWhatIsInFlightAndCompletesEachOnce) {
  const auto bound = this->driver().capabilities().max_in_flight;
  ASSERT_GT(bound, 0U);
  std::set<OperationId> open;
  for (std::size_t i = 0; i < bound; ++i) {
    const auto id = this->driver().submit(ReadUse{static_cast<GpuNumber>(i % 2)});
    ASSERT_TRUE(id.has_value());
    EXPECT_TRUE(open.insert(*id).second);
  }
  const auto refused = this->driver().submit(ReadUse{0});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  for (int tries = 0; tries < 5000 && !open.empty(); ++tries) {
    for (const auto& completion : this->driver().poll())
      EXPECT_EQ(open.erase(completion.id), 1U) << "completed twice, or never submitted";
    this->rig_.pass(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(open.empty());
  EXPECT_TRUE(this->driver().submit(ReadUse{0}).has_value());
}

TYPED_TEST_P(DriverConformance, SamplesUsePerInstance) {
  if (!this->driver().capabilities().use_samples) GTEST_SKIP() << "no samples here";
  this->must(SetMigMode{0, true});
  const auto device = this->create(this->small());
  this->rig_.start(device, LeaseId(1));
  EXPECT_EQ(this->gpu().processes.size(), 1U);
  const auto done = this->run(ReadUse{0});
  ASSERT_FALSE(done.error);
  const auto found = std::ranges::find(done.samples, device, &UseSample::device);
  ASSERT_NE(found, done.samples.end());
  EXPECT_GE(found->busy_permille, 0);
  EXPECT_LE(found->busy_permille, 1000);
  EXPECT_GE(found->memory, MiB(1024));
}

REGISTER_TYPED_TEST_SUITE_P(DriverConformance, FindsTheGpus, RefusesAnInstanceWhileMigModeIsOff,
                            MakesEveryInstanceTheModelAllows, RefusesWhatTheModelLacks,
                            HoldsExactlyTheLegalLayouts, ChangesTheModeOnlyOfAnIdleGpu,
                            NeverDestroysAHeldInstance, ScrubEndsWhatIsLeftOnThatDeviceOnly,
                            ScrubOfAShareSparesItsNeighbours, NamesWhatItDoesNotFind,
                            WhatItMadeOutlivesIt, BoundsWhatIsInFlightAndCompletesEachOnce,
                            SamplesUsePerInstance);

}  // namespace tessera::device
