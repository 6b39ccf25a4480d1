#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/box.h"
#include "base/id.h"
#include "base/random.h"
#include "base/serial_table.h"
#include "base/sorted_set.h"

namespace tessera::base {
namespace {

using Id = Serial<struct ThingTag>;

template <class Table, class Map>
void expect_equal(const Table& table, const Map& map) {
  ASSERT_EQ(table.size(), map.size());
  auto expected = map.begin();
  for (const auto& [id, thing] : table) {
    ASSERT_EQ(id, expected->first);
    ASSERT_EQ(thing, expected->second);
    ++expected;
  }
}

/// `spread` 1: numbers as they are handed out; large: hardly two in one block.
class SerialTableOracle : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SerialTableOracle, IsAMap) {
  const auto spread = GetParam();
  SeededRandom random(7);
  SerialTable<Id, int> table;
  std::map<Id, int> map;
  std::uint64_t next = 1;
  for (int step = 0; step < 4000; ++step) {
    if (random.chance(3, 5)) {
      const Id id(next += 1 + random.below(spread));
      EXPECT_EQ(table.emplace(id, step).second, map.emplace(id, step).second);
    } else {
      const Id id(random.below(next + 2));
      EXPECT_EQ(table.erase(id), map.erase(id));
      EXPECT_EQ(table.contains(id), map.contains(id));
    }
    const Id probe(random.below(next + 2));
    const auto above = table.lower_bound(probe);
    const auto expected = map.lower_bound(probe);
    ASSERT_EQ(above == table.end(), expected == map.end());
    if (expected != map.end()) {
      ASSERT_EQ(above->first, expected->first);
    }
  }
  expect_equal(table, map);
  const auto copy = table;
  table.clear();
  EXPECT_TRUE(table.empty());
  expect_equal(copy, map);
}
INSTANTIATE_TEST_SUITE_P(Spreads, SerialTableOracle, testing::Values(1, 3, 1000, 1ULL << 40));

TEST(SerialTable, KeepsWhatIsThere) {
  SerialTable<Id, int> table;
  table.emplace(Id(5), 1);
  EXPECT_FALSE(table.emplace(Id(5), 2).second);
  EXPECT_EQ(table.find(Id(5))->second, 1);
  EXPECT_EQ(table.find(Id(6)), table.end());
}

/// The sanitizers see what is destroyed twice or never.
TEST(SerialTable, DestroysEachThingOnce) {
  const std::string text(100, 'x');
  SerialTable<Id, std::string> table;
  for (std::uint64_t i = 1; i < 200; i += 3) table.emplace(Id(i), text);
  EXPECT_EQ(table.erase(Id(4)), 1u);
  EXPECT_TRUE(table.emplace(Id(4), text).second);
  auto copy = table;
  copy.clear();
  table = std::move(copy);
  EXPECT_TRUE(table.empty());
}

TEST(SortedSet, IsASet) {
  for (const std::uint64_t range : {50, 5000}) {
    SeededRandom random(range);
    SortedSet<std::uint64_t> sorted;
    std::set<std::uint64_t> set;
    for (int step = 0; step < 20'000; ++step) {
      const auto value = random.below(range);
      if (random.chance(11, 20))
        EXPECT_EQ(sorted.insert(value), set.insert(value).second);
      else
        EXPECT_EQ(sorted.erase(value), set.erase(value) == 1);
      ASSERT_EQ(sorted.contains(value), set.contains(value));
      ASSERT_EQ(sorted.size(), set.size());
    }
    EXPECT_TRUE(std::equal(sorted.begin(), sorted.end(), set.begin(), set.end()));
    if (!set.empty()) {
      EXPECT_EQ(sorted.front(), *set.begin());
    }
  }
}

TEST(Box, IsCopiedLikeItsValue) {
  Box<std::vector<int>> first(std::vector{1, 2});
  auto second = first;
  second->push_back(3);
  EXPECT_EQ(*first, (std::vector{1, 2}));
  EXPECT_FALSE(first == second);
  first = std::move(second);
  EXPECT_EQ(*first, (std::vector{1, 2, 3}));
  EXPECT_TRUE(Box<std::vector<int>>()->empty());
}

}  // namespace
}  // namespace tessera::base
