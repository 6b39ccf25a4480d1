#include "fleet/gpu.h"

#include <gtest/gtest.h>

namespace tessera::fleet {
namespace {

Slice slice(SliceShape shape, SlicePhase phase, std::uint64_t generation) {
  return {shape, phase, generation, LeaseId(phase == SlicePhase::kIdle ? 0 : generation), ""};
}

TEST(Occupancy, IdleInstancesAreApartFromHeldOnes) {
  Gpu gpu;
  gpu.slices = {slice(MigSlice{3}, SlicePhase::kInUse, 1), slice(MigSlice{5}, SlicePhase::kIdle, 2),
                slice(MigSlice{7}, SlicePhase::kScrubbing, 3)};
  const auto occupancy = occupancy_of(gpu);
  EXPECT_EQ(occupancy.held, catalog::bit(3) | catalog::bit(7));
  EXPECT_EQ(occupancy.idle, catalog::bit(5));
  EXPECT_EQ(occupancy.tenants, 2);
  EXPECT_EQ(occupancy.technology, catalog::Technology::kMig);
}

TEST(Occupancy, SharesAddUpUnderTheStrictestPromise) {
  Gpu gpu;
  gpu.slices = {slice(ShareSlice{MiB(1000), MilliShare(500), 4, 3}, SlicePhase::kInUse, 1),
                slice(ShareSlice{MiB(2000), MilliShare(250), 2, 8}, SlicePhase::kPreparing, 2)};
  const auto occupancy = occupancy_of(gpu);
  EXPECT_EQ(occupancy.share_memory, MiB(3000));
  EXPECT_EQ(occupancy.share_compute, MilliShare(750));
  EXPECT_EQ(occupancy.share_ceiling, 2);
  EXPECT_EQ(occupancy.share_tenants, 3);
}

TEST(Occupancy, InterchangeableGpusAreEqual) {
  Gpu a, b;
  a.uuid = "GPU-a";
  b.uuid = "GPU-b";
  a.slices = {slice(MigSlice{3}, SlicePhase::kInUse, 1)};
  b.slices = {slice(MigSlice{3}, SlicePhase::kPreparing, 9)};
  EXPECT_EQ(occupancy_of(a), occupancy_of(b));
}

TEST(Gpu, FindsByGeneration) {
  Gpu gpu;
  gpu.slices = {slice(WholeSlice{}, SlicePhase::kInUse, 4)};
  EXPECT_NE(gpu.find(4), nullptr);
  EXPECT_EQ(gpu.find(5), nullptr);
}

}  // namespace
}  // namespace tessera::fleet
