#include "wire/fleet_lists.h"

#include <gtest/gtest.h>

#include "wire/objects.h"
#include "wire/test_world.h"

namespace tessera::wire {
namespace {

FleetLists lists_of(const TestWorld& world) {
  return {.tiers = all_objects(world.state(), "Tier"),
          .pools = all_objects(world.state(), "Pool"),
          .gpus = all_objects(world.state(), "Gpu"),
          .leases = all_objects(world.state(), "Lease"),
          .requests = all_objects(world.state(), "Request")};
}

control::FleetAtHand read_fleet(const FleetLists& lists) {
  auto fleet = read_fleet(lists, catalog::Catalog::built_in());
  EXPECT_TRUE(fleet) << to_string(fleet.error());
  return fleet ? std::move(*fleet) : control::FleetAtHand{};
}

/// GPUs by pool name, occupancy and what is pinned.
std::map<std::tuple<std::string, fleet::Occupancy, catalog::Layout>, std::int64_t> situations(
    const control::FleetAtHand& fleet, bool with_pinned) {
  std::map<std::tuple<std::string, fleet::Occupancy, catalog::Layout>, std::int64_t> counts;
  for (const auto& gpus : fleet.gpus)
    counts[{fleet.fleet.pool(gpus.each.pool).name, gpus.each.occupancy,
            with_pinned ? gpus.each.pinned : 0}] += gpus.count;
  return counts;
}

TEST(FleetLists, SayWhatTheStateKnows) {
  TestWorld world(example_text("three-tier.yaml"));
  world.ask(R"({"team":"vision","memory":"10GB","isolation":"partition","duration":"8h"})");
  world.ask(R"({"team":"bio","memory":"30GB","duration":"8h"})");
  world.ask(R"({"team":"bio","memory":"8GB","compute":50,"duration":"8h"})");
  world.ask(R"({"team":"speech","memory":"18GB","isolation":"virtual","duration":"8h"})");
  world.ask(R"({"team":"vision","memory":"70GB","isolation":"dedicated","duration":"8h"})");
  world.report_all();
  const auto fleet = read_fleet(lists_of(world));
  EXPECT_EQ(situations(fleet, false), situations(control::fleet_at_hand(world.state()), false));
  EXPECT_EQ(fleet.closed, 0);
  EXPECT_EQ(fleet.tiers, world.state().tiers());
}

TEST(FleetLists, AGpuThatIsNotReadyIsLeftOut) {
  TestWorld world(example_text("three-tier.yaml"));
  FleetLists lists = lists_of(world);
  lists.gpus[0]["status"]["state"] = "cordoned";
  lists.gpus[1]["status"]["health"] = "quarantined";
  EXPECT_EQ(read_fleet(lists).closed, 2);
}

TEST(FleetLists, ALeaseMovesWhereItsTierLetsIt) {
  const std::string documents = example_text("three-tier.yaml");
  for (const bool movable : {true, false}) {
    TestWorld world(documents);
    world.ask(R"({"team":"vision","memory":"10GB","isolation":"partition","duration":"8h"})");
    world.report_all();
    FleetLists lists = lists_of(world);
    for (Json& tier : lists.tiers) tier["spec"]["movable"] = movable;
    catalog::Layout pinned = 0, held = 0;
    for (const auto& gpus : read_fleet(lists).gpus) {
      held |= gpus.each.occupancy.held;
      pinned |= gpus.each.pinned;
    }
    EXPECT_NE(held, 0U);
    EXPECT_EQ(pinned == 0, movable);
    // A part of a host goes with it: it stays.
    lists.requests[0]["spec"]["cpu"] = "2";
    pinned = 0;
    for (const auto& gpus : read_fleet(lists).gpus) pinned |= gpus.each.pinned;
    EXPECT_EQ(pinned, held);
  }
}

TEST(FleetLists, WhatThisVersionDoesNotKnowIsAnError) {
  TestWorld world(example_text("three-tier.yaml"));
  world.ask(R"({"team":"vision","memory":"10GB","isolation":"partition","duration":"8h"})");
  world.report_all();
  const FleetLists good = lists_of(world);
  const auto catalog = catalog::Catalog::built_in();
  FleetLists bad = good;
  for (Json& gpu : bad.gpus)
    for (Json& slice : gpu["status"]["slices"]) slice["profile"] = "9g.1gb";
  EXPECT_FALSE(read_fleet(bad, catalog));
  bad = good;
  bad.gpus[0]["spec"]["pool"] = "gone";
  EXPECT_FALSE(read_fleet(bad, catalog));
  bad = good;
  bad.gpus[0] = "a GPU";
  EXPECT_FALSE(read_fleet(bad, catalog));
  bad = good;
  bad.tiers[0] = 7;
  EXPECT_FALSE(read_fleet(bad, catalog));
}

}  // namespace
}  // namespace tessera::wire
