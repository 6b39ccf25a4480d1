#include "gateway/watch_history.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "control/state.h"

namespace tessera::gateway {
namespace {

using control::ObjectRef;

control::State empty_state() {
  return control::State(std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in()));
}

class WatchHistoryTest : public testing::Test {
 protected:
  void put(WatchHistory& history, const std::string& team) {
    state_.apply(control::TeamPut{{.name = team, .parent = {}, .description = {}, .quotas = {}}},
                 {});
    history.note(state_, ++revision_, {{"Team", team}});
  }
  void remove(WatchHistory& history, const std::string& team) {
    state_.apply(control::TeamDeleted{team}, {});
    history.note(state_, ++revision_, {{"Team", team}});
  }

  control::State state_ = empty_state();
  std::uint64_t revision_ = 0;
};

TEST_F(WatchHistoryTest, TellsAddedFromModified) {
  WatchHistory history(100, 100);
  history.begin(state_);
  put(history, "a");
  put(history, "a");
  remove(history, "a");
  const auto types_after = [&](std::uint64_t since) {
    std::vector<ChangeType> types;
    for (const auto& entry : history.after(since, {}, 100).entries) types.push_back(entry.type);
    return types;
  };
  EXPECT_EQ(types_after(0), (std::vector{ChangeType::kDeleted}));
  put(history, "a");
  put(history, "a");
  EXPECT_EQ(types_after(3), (std::vector{ChangeType::kAdded}));
  EXPECT_EQ(types_after(4), (std::vector{ChangeType::kModified}));
  EXPECT_TRUE(types_after(5).empty());
  EXPECT_TRUE(history.after(0, {"Gpu"}, 100).entries.empty());
  EXPECT_EQ(history.after(0, {"Gpu"}, 100).upto, 5u);
}

TEST_F(WatchHistoryTest, ForgetsWholeRevisions) {
  WatchHistory history(3, 100);
  history.begin(state_);
  for (int i = 0; i < 10; ++i) put(history, "t" + std::to_string(i));
  EXPECT_EQ(history.oldest(), 7u);
  EXPECT_EQ(history.newest(), 10u);
  WatchHistory small(100, 3);
  small.begin(empty_state());
  std::vector<ObjectRef> many;
  for (int i = 0; i < 5; ++i) many.push_back({"Team", "t" + std::to_string(i)});
  small.note(state_, 1, many);
  EXPECT_EQ(small.oldest(), 1u);  // too much at once: nobody can begin before it
  EXPECT_TRUE(small.after(1, {}, 100).entries.empty());
}

/// Whoever follows in parts of any size, from any revision, ends with what there is.
TEST_F(WatchHistoryTest, FollowingLeadsToTheState) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    base::SeededRandom random(seed);
    state_ = empty_state();
    revision_ = 0;
    WatchHistory history(1'000, 10'000);
    history.begin(state_);
    std::set<std::string> seen;
    std::uint64_t position = 0;
    for (int step = 0; step < 200; ++step) {
      const std::string team = "t" + std::to_string(random.below(8));
      if (state_.find_team(team) != nullptr && random.chance(1, 2))
        remove(history, team);
      else
        put(history, team);
      if (!random.chance(1, 5)) continue;
      const auto part = history.after(position, {}, 1 + random.below(4));
      EXPECT_GT(part.upto, position);
      position = part.upto;
      for (const auto& entry : part.entries)
        if (entry.type == ChangeType::kDeleted)
          seen.erase(entry.object.name);
        else
          seen.insert(entry.object.name);
    }
    while (position < history.newest()) {
      const auto part = history.after(position, {}, 2);
      position = part.upto;
      for (const auto& entry : part.entries)
        if (entry.type == ChangeType::kDeleted)
          seen.erase(entry.object.name);
        else
          seen.insert(entry.object.name);
    }
    std::set<std::string> there;
    for (const auto& [name, team] : state_.teams()) there.insert(name);
    EXPECT_EQ(seen, there) << "seed " << seed;
  }
}

}  // namespace
}  // namespace tessera::gateway
