// The table of allocations against a slow, obvious one.

#include <map>
#include <random>

#include <gtest/gtest.h>

#include "guard/allocation_table.h"
#include "guard/pacer.h"

namespace tessera::guard {
namespace {

TEST(AllocationTable, does_what_a_map_does) {
  static AllocationTable table;  // it lives as long as the program, as in the library
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
  pacer.learn(1, 10, 100, 0);
  EXPECT_EQ(pacer.batch(), 50U);
  EXPECT_EQ(pacer.batch(Pacer::kTightBatchUs), 25U);
  EXPECT_EQ(pacer.expected_us(7), 70);
  pacer.learn(50, 0, 100, 0);
  EXPECT_EQ(pacer.batch(), Pacer::kMostLaunches);
  for (int i = 0; i < 50; ++i) pacer.learn(1, 20'000, 100, 0);
  EXPECT_EQ(pacer.batch(), 1U);
  EXPECT_EQ(pacer.rest_us(0), 0U);
}

TEST(Pacer, rests_in_proportion_and_saves_nothing) {
  Pacer pacer;
  pacer.learn(1, 3'000, 30, 50'000);
  EXPECT_EQ(pacer.rest_us(50'000), 7'000U);
  EXPECT_EQ(pacer.rest_us(56'000), 1'000U);
  EXPECT_EQ(pacer.rest_us(90'000), 0U);
  pacer.learn(1, 3'000, 30, 100'000);
  EXPECT_EQ(pacer.rest_us(100'000), 7'000U);
  // Work that followed at once is paid for after it.
  pacer.learn(1, 3'000, 30, 103'000);
  EXPECT_EQ(pacer.rest_us(103'000), 14'000U);
}

TEST(Pacer, never_rests_for_long_at_a_time) {
  Pacer pacer;
  pacer.learn(1, 1e9, 1, 1e9);
  EXPECT_EQ(pacer.rest_us(1e9), 1'000'000U);
}

}  // namespace
}  // namespace tessera::guard
