#include "catalog/technology.h"

#include <gtest/gtest.h>

namespace tessera::catalog {
namespace {

TEST(Technology, NamesReadBack) {
  for (const auto technology :
       {Technology::kTimeSlicing, Technology::kVgpu, Technology::kMig, Technology::kWhole})
    EXPECT_EQ(technology_from(to_string(technology)), technology);
  EXPECT_EQ(to_string(Technology::kTimeSlicing), "time-slicing");
  EXPECT_FALSE(technology_from("MIG"));
  EXPECT_FALSE(technology_from(""));
}

TEST(Isolation, NamesReadBackAndRiseInStrength) {
  constexpr const char* kWeakestFirst[] = {"shared", "limited", "virtual", "partition",
                                           "dedicated"};
  int strength = 0;
  for (const char* name : kWeakestFirst) {
    const auto isolation = isolation_from(name);
    ASSERT_TRUE(isolation) << name;
    EXPECT_EQ(to_string(*isolation), name);
    EXPECT_EQ(static_cast<int>(*isolation), strength++);
  }
  EXPECT_FALSE(isolation_from("hard"));
}

}  // namespace
}  // namespace tessera::catalog
