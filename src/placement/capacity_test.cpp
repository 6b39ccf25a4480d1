#include "placement/capacity.h"

#include <gtest/gtest.h>

#include "placement/test_fleet.h"

namespace tessera::placement {
namespace {

const TierCapacity& tier(const Capacity& capacity, const std::string& name) {
  for (const auto& one : capacity.tiers)
    if (one.tier == name) return one;
  throw std::out_of_range(name);
}

Capacity capacity_of(const TestFleet& fleet) {
  const auto world = fleet.world();
  return placement::capacity_of(world.catalog, world.fleet, world.index, world.tiers, {});
}

TEST(Capacity, EightH100sGiveSixteenSlotsOfTwoKinds) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 8);
  const auto capacity = capacity_of(fleet);
  const auto& production = tier(capacity, "production");
  EXPECT_EQ(production.potential.slots, 16);
  EXPECT_EQ(production.potential.mix, (std::map<std::string, int>{{"3g.40gb", 8}, {"4g.40gb", 8}}));
  EXPECT_NE(production.note.find("8 x 4g.40gb + 8 x 3g.40gb"), std::string::npos);
  EXPECT_EQ(tier(capacity, "development").potential.slots, 32);
  EXPECT_EQ(capacity.gpus_ready, 8);
}

TEST(Capacity, FreeIsWhatIsLeftOnTheGpusAsTheyAre) {
  TestFleet fleet;
  fleet.add_pool("h100", "H100-80GB-SXM5", 1, 2);
  const auto spot =
      fleet.place({.memory = base::MiB(9000), .isolation = catalog::Isolation::kPartition});
  ASSERT_TRUE(spot);
  fleet.grant(*spot);
  const auto capacity = capacity_of(fleet);
  EXPECT_EQ(tier(capacity, "production").free.slots, 3);
  // A partitioned GPU takes no shares until it is empty again.
  EXPECT_EQ(tier(capacity, "development").free.slots, 4);
}

TEST(BestInstances, KeepsWhatIsHeld) {
  const auto catalog = catalog::Catalog::built_in();
  const auto& model = catalog.model(*catalog.find("H100-80GB-SXM5"));
  const auto held = catalog::bit(*model.find_instance("1g.10gb", 0));
  const auto best = best_instances(model, held, base::MiB(38'147));
  ASSERT_EQ(best.size(), 1u);
  EXPECT_EQ(model.profile_of(best.front()).name, "3g.40gb");
  EXPECT_EQ(model.layouts.instance(best.front()).placement.start, 4);
}

}  // namespace
}  // namespace tessera::placement
