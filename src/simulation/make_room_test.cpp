#include "simulation/make_room.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "simulation/trace_fleet.h"

namespace tessera::simulation {
namespace {

constexpr std::int64_t kCpu = 64'000;

class MakeRoomTest : public testing::Test {
 protected:
  explicit MakeRoomTest()
      : filling_({trace_node("a", 1, kCpu, "T4"), trace_node("b", 1, kCpu, "T4")}) {}

  /// Puts a pod on one of the two GPUs, wherever placement would like it.
  RequestId put(std::size_t gpu, std::int64_t share, std::int64_t cpu = 1) {
    const auto id = *filling_.arrive(trace_pod("p", 1, share, cpu));
    filling_.put_back(id, filling_.moved_to(filling_.take_away(id), fleet::GpuIndex(gpu)));
    return id;
  }
  std::size_t gpu_of(RequestId id) const {
    const auto& state = filling_.state();
    return state.find(filling_.request(id).lease)->slices.at(0).gpu.value();
  }

  Filling filling_;
};

TEST_F(MakeRoomTest, OneThatFitsElsewhereLeaves) {
  put(0, 600);
  put(1, 700);
  const auto small = put(0, 200);
  const auto fresh = *filling_.arrive(trace_pod("n", 1, 400, 1));
  ASSERT_FALSE(filling_.holds(fresh));
  EXPECT_EQ(RoomMaker(filling_).make_room(fresh, 5), 1);
  EXPECT_TRUE(filling_.holds(fresh));
  EXPECT_EQ(gpu_of(fresh), 0u);
  EXPECT_EQ(gpu_of(small), 1u);
}

TEST_F(MakeRoomTest, TwoChangePlacesWhereNoHoleIsLargeEnough) {
  put(0, 470);
  put(0, 320);
  put(1, 470);
  put(1, 320);
  const auto fresh = *filling_.arrive(trace_pod("n", 1, 320, 1));
  ASSERT_FALSE(filling_.holds(fresh));
  EXPECT_EQ(RoomMaker(filling_).make_room(fresh, 1), std::nullopt);
  EXPECT_EQ(RoomMaker(filling_).make_room(fresh, 2), 2);
  EXPECT_TRUE(filling_.holds(fresh));
}

TEST_F(MakeRoomTest, WhoTakesTheHostLeaves) {
  const auto idler = *filling_.arrive(trace_pod("c", 0, 0, kCpu));
  const auto node = filling_.state().find(filling_.request(idler).lease)->node;
  const auto other = node.value() == 0 ? 1u : 0u;
  put(other, 1000);
  const auto fresh = *filling_.arrive(trace_pod("n", 1, 1000, 10));
  ASSERT_FALSE(filling_.holds(fresh));
  // The other host has lost one thousandth of a CPU, so the idler does not fit there.
  EXPECT_EQ(RoomMaker(filling_).make_room(fresh, 3), std::nullopt);
  EXPECT_EQ(filling_.state().find(filling_.request(idler).lease)->node, node);
}

TEST_F(MakeRoomTest, WhatFindsNothingChangesNothing) {
  const std::vector ids = {put(0, 810), put(1, 810)};
  const auto fresh = *filling_.arrive(trace_pod("n", 1, 400, 1));
  EXPECT_EQ(RoomMaker(filling_).make_room(fresh, 5), std::nullopt);
  EXPECT_FALSE(filling_.holds(fresh));
  EXPECT_EQ(gpu_of(ids[0]), 0u);
  EXPECT_EQ(gpu_of(ids[1]), 1u);
  EXPECT_EQ(filling_.running(), 2u);
}

/// Every GPU and every host holds at most what it has.
void expect_nothing_overfull(const Filling& filling) {
  const auto& fleet = filling.state().fleet();
  for (const auto& gpu : fleet.gpus()) {
    const auto occupancy = fleet::occupancy_of(gpu);
    EXPECT_LE(occupancy.share_compute.count(), 1000);
    if (!occupancy.empty() && occupancy.technology == catalog::Technology::kWhole) {
      EXPECT_EQ(occupancy.tenants, 1);
    }
  }
  for (const auto& node : fleet.nodes()) {
    EXPECT_LE(node.cpu_used, node.cpu);
    EXPECT_LE(node.memory_used, node.memory);
  }
}

TEST(MakeRoomPropertyTest, EverybodyKeepsRunningAndNothingIsOverfull) {
  int moved = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    base::SeededRandom random(seed);
    Filling filling({trace_node("a", 4, 32'000, "T4"), trace_node("b", 4, 16'000, "T4"),
                     trace_node("c", 2, 64'000, "A10")});
    RoomMaker room_maker(filling);
    std::size_t placed = 0;
    for (int i = 0; i < 60; ++i) {
      constexpr std::int64_t kShares[] = {220, 320, 470, 810, 1000};
      const auto id = filling.arrive(trace_pod(
          "p", 1, kShares[random.below(5)], static_cast<std::int64_t>(random.below(6'000)),
          random.chance(1, 4) ? std::vector<std::string>{"T4"} : std::vector<std::string>{}));
      ASSERT_TRUE(id.has_value());
      if (!filling.holds(*id)) {
        const auto moves = room_maker.make_room(*id, 3);
        if (!moves) {
          filling.give_up(*id);
          continue;
        }
        EXPECT_LE(*moves, 3);
        moved += *moves;
      }
      ASSERT_EQ(filling.running(), ++placed);
      expect_nothing_overfull(filling);
    }
  }
  EXPECT_GT(moved, 0);
}

}  // namespace
}  // namespace tessera::simulation
