#include "fleet/fleet.h"

#include <gtest/gtest.h>

namespace tessera::fleet {
namespace {

Fleet two_nodes() {
  Fleet fleet;
  const auto pool = fleet.put_pool({.name = "h100"});
  Node node;
  node.pool = pool;
  node.name = "node-1";
  fleet.add_node(node, 2);
  node.name = "node-2";
  fleet.add_node(node, 1);
  return fleet;
}

TEST(Fleet, NamesGpusByNodeAndNumber) {
  const auto fleet = two_nodes();
  EXPECT_EQ(fleet.gpu_name(GpuIndex(1)), "node-1/1");
  EXPECT_EQ(fleet.find_gpu("node-2/0"), GpuIndex(2));
  for (const char* name : {"node-2", "node-2/", "node-2/1", "node-3/0", "node-2/x", "node-2/-1"})
    EXPECT_EQ(fleet.find_gpu(name), std::nullopt) << name;
}

TEST(Fleet, RemovingANodeKeepsTheOthersHandles) {
  auto fleet = two_nodes();
  fleet.remove_node(*fleet.find_node("node-1"));
  EXPECT_EQ(fleet.find_node("node-1"), std::nullopt);
  EXPECT_EQ(fleet.find_gpu("node-2/0"), GpuIndex(2));
  EXPECT_EQ(fleet.nodes_of(PoolIndex(0)).size(), 1u);
}

TEST(Fleet, ReindexRestoresNames) {
  auto fleet = two_nodes();
  fleet.remove_node(*fleet.find_node("node-1"));
  fleet.reindex();
  EXPECT_EQ(fleet.find_node("node-1"), std::nullopt);
  EXPECT_EQ(fleet.find_node("node-2"), NodeIndex(1));
  EXPECT_EQ(fleet.find_pool("h100"), PoolIndex(0));
}

TEST(Fleet, PutPoolReplacesByName) {
  auto fleet = two_nodes();
  EXPECT_EQ(fleet.put_pool({.name = "h100", .tiers = {"production"}}), PoolIndex(0));
  EXPECT_TRUE(fleet.pool(PoolIndex(0)).carries("production"));
  EXPECT_EQ(fleet.pools().size(), 1u);
}

}  // namespace
}  // namespace tessera::fleet
