#include "wire/agent_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera::wire {
namespace {

using namespace fleet;
using testing::HasSubstr;

NodeTarget some_target() {
  NodeTarget target;
  target.node = "node-1";
  target.revision = 77;
  target.incarnation = 1'767'225'600'000;
  target.process = 1'767'225'600'001;
  const auto slice = [](SliceShape shape, std::uint64_t generation, SlicePhase phase) {
    TargetSlice made;
    made.shape = shape;
    made.generation = generation;
    made.phase = phase;
    made.holder = LeaseId(generation);
    return made;
  };
  GpuTarget cut{.number = 0, .uuid = "GPU-1", .mig = true, .slices = {}};
  cut.slices = {slice(MigSlice{5}, 3, SlicePhase::kPreparing),
                slice(MigSlice{63}, 0, SlicePhase::kIdle)};
  GpuTarget shared{.number = 1, .uuid = "", .mig = false, .slices = {}};
  shared.slices = {
      slice(ShareSlice{MiB(9537), MilliShare(250), 4, 6, catalog::Isolation::kLimited, true}, 9,
            SlicePhase::kInUse),
      slice(VgpuSlice{2}, 10, SlicePhase::kScrubbing),
      slice(WholeSlice{}, 11, SlicePhase::kFailed)};
  target.gpus = {cut, shared};
  return target;
}

NodeReport some_report() {
  NodeReport report;
  report.node = "node-1";
  report.boot = "b-1";
  report.session = 1'767'225'601'000;
  report.sequence = 12;
  report.target_revision = 77;
  report.target_incarnation = 1'767'225'600'000;
  report.heard_process = 1'767'225'600'001;
  report.highest_lease = LeaseId(9);
  GpuReport gpu;
  gpu.number = 3;
  gpu.uuid = "GPU-3";
  gpu.pci_id = 0x233010DE;
  gpu.health = Health::kQuarantined;
  gpu.detail = "Xid 79";
  gpu.slices = {{3, SliceStatus::kReady, "MIG-1", ""}, {4, SliceStatus::kFailed, "", "in use"}};
  report.gpus = {gpu};
  return report;
}

TEST(AgentProtocol, TargetsComeBackAsTheyWere) {
  const Json sent = encode(some_target());
  const auto read = decode_target(sent.dump());
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(encode(*read), sent);
  const auto expected = some_target();
  EXPECT_EQ(read->moment(), expected.moment());
  ASSERT_EQ(read->gpus.size(), expected.gpus.size());
  for (std::size_t i = 0; i < expected.gpus.size(); ++i)
    for (std::size_t j = 0; j < expected.gpus[i].slices.size(); ++j) {
      const TargetSlice &got = read->gpus[i].slices[j], &want = expected.gpus[i].slices[j];
      EXPECT_EQ(got.shape, want.shape);
      EXPECT_EQ(got.phase, want.phase);
      EXPECT_EQ(got.holder, want.holder);
      EXPECT_EQ(got.generation, want.generation);
    }
}

TEST(AgentProtocol, ReportsComeBackAsTheyWere) {
  const Json sent = encode(some_report());
  const auto read = decode_report(sent.dump());
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(encode(*read), sent);
  EXPECT_EQ(read->answers(), some_target().moment());
  EXPECT_EQ(read->highest_lease, LeaseId(9));
  EXPECT_EQ(read->session, some_report().session);
  EXPECT_EQ(read->gpus[0].pci_id, 0x233010DEu);
  EXPECT_EQ(read->gpus[0].health, Health::kQuarantined);
  EXPECT_EQ(read->gpus[0].slices[1].status, SliceStatus::kFailed);
  EXPECT_EQ(read->gpus[0].slices[1].detail, "in use");
}

TEST(AgentProtocol, WhatADeviceSaysCannotSpoilAReport) {
  NodeReport report = some_report();
  report.gpus[0].detail = "bad \xFF byte \x01 " + std::string(5000, 'x');
  const auto read = decode_report(encode(report).dump());
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_THAT(read->gpus[0].detail, HasSubstr("bad ? byte"));
}

/// Changes one thing in a good message.
std::string changed(Json message, const char* pointer, Json value) {
  message[Json::json_pointer(pointer)] = std::move(value);
  return message.dump();
}

TEST(AgentProtocol, RefusesWhatItDoesNotKnow) {
  const Json target = encode(some_target());
  const auto refusal = [&](const char* pointer, Json value) {
    const auto read = decode_target(changed(target, pointer, std::move(value)));
    return read ? std::string("accepted") : to_string(read.error());
  };
  EXPECT_THAT(refusal("/extra", 1), HasSubstr("extra"));
  EXPECT_THAT(refusal("/gpus/0/slices/0/phase", "ready"), HasSubstr("gpus[0].slices[0].phase"));
  EXPECT_THAT(refusal("/gpus/0/slices/0/shape/instance", 64), HasSubstr("0 to 63"));
  EXPECT_THAT(refusal("/gpus/0/slices/0/shape/memory", "1GiB"), HasSubstr("no key \"memory\""));
  EXPECT_THAT(refusal("/gpus/1/slices/0/shape/compute", -1), HasSubstr("out of range"));
  EXPECT_THAT(refusal("/gpus/0/mig", 1), HasSubstr("true or false"));
  EXPECT_THAT(refusal("/gpus", "x"), HasSubstr("a list"));
  EXPECT_THAT(refusal("/node", "../x"), HasSubstr("name"));
  EXPECT_THAT(refusal("/revision", 1.5), HasSubstr("revision"));
  for (const char* key : {"node", "revision", "gpus"}) {
    Json missing = target;
    missing.erase(key);
    EXPECT_FALSE(decode_target(missing.dump())) << key;
  }
  EXPECT_FALSE(decode_report("[]"));
  EXPECT_FALSE(decode_report(""));
  EXPECT_FALSE(decode_report(target.dump()));
}

}  // namespace
}  // namespace tessera::wire
