// The table of allocations against a slow, obvious one.

#include <map>
#include <random>

#include <gtest/gtest.h>

#include "guard/allocation_table.h"
#include "guard/pacer.h"

namespace tessera::guard {
namespace {

TEST(AllocationTable, does_what_a_map_does) {
  AllocationTable table;
  std::map<std::uint64_t, std::uint64_t> model;
  std::mt19937_64 random(7);
  for (int step = 0; step < 200'000; ++step) {
    // Few keys, so that each comes and goes often and gaps are closed.
    const std::uint64_t key = (1 + random() % 3'000) * 512;
    Allocation found;
    if (!model.contains(key)) {
      ASSERT_FALSE(table.take(key, found));
      ASSERT_TRUE(table.put({key, random() % 1'000, nullptr, 0, 1}) && table.hold(key, 0, found));
      model[key] = found.bytes;
    } else if (random() % 2 == 0) {
      ASSERT_TRUE(table.take(key, found));
      ASSERT_EQ(found.bytes, model.at(key));
      model.erase(key);
    } else {
      ASSERT_TRUE(table.hold(key, 0, found));
      ASSERT_EQ(found.bytes, model.at(key));
    }
  }
  Allocation found;
  for (const auto& [key, bytes] : model) {
    ASSERT_TRUE(table.take(key, found));
    ASSERT_EQ(found.bytes, bytes);
  }
}

TEST(Pacer, makes_batches_of_half_a_millisecond) {
  Pacer pacer;
  EXPECT_EQ(pacer.batch(), 1U);
  pacer.learn(1, 10, 100);
  EXPECT_EQ(pacer.batch(), 50U);
  pacer.learn(50, 0, 100);
  EXPECT_EQ(pacer.batch(), Pacer::kMostLaunches);
  for (int i = 0; i < 50; ++i) pacer.learn(1, 20'000, 100);
  EXPECT_EQ(pacer.batch(), 1U);
  EXPECT_EQ(pacer.take_rest(), 0U);
}

TEST(Pacer, rests_in_proportion_and_never_for_long) {
  Pacer pacer;
  pacer.learn(1, 3'000, 30);
  EXPECT_EQ(pacer.take_rest(), 7'000U);
  EXPECT_EQ(pacer.take_rest(), 0U);
  pacer.learn(1, 1e9, 1);
  EXPECT_EQ(pacer.take_rest(), 1'000'000U);
}

}  // namespace
}  // namespace tessera::guard
