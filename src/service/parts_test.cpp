// The engine's parts, each by itself.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "journal/memory_journal.h"
#include "service/change_feed.h"
#include "service/command_queue.h"
#include "service/node_watch.h"
#include "service/read_gate.h"
#include "service/snapshotter.h"

namespace tessera::service {
namespace {

using namespace std::chrono_literals;

std::vector<Change> changes(std::uint64_t first, std::uint64_t last) {
  std::vector<Change> all;
  for (std::uint64_t revision = first; revision <= last; ++revision) {
    all.push_back({{revision, {}, {}, {}}, {{"Request", "req-" + std::to_string(revision)}}});
  }
  return all;
}

std::vector<std::uint64_t> revisions_after(const ChangeFeed& feed, std::uint64_t revision,
                                           std::size_t limit = 100) {
  std::vector<std::uint64_t> all;
  const auto found = feed.after(revision, limit).value();
  for (const auto& change : found) {
    all.push_back(change->record.revision);
  }
  return all;
}

TEST(ChangeFeed, GivesWhatCameAfter) {
  ChangeFeed feed(10, 5);
  EXPECT_EQ(feed.newest(), 5U);
  feed.publish(changes(6, 9));
  EXPECT_THAT(revisions_after(feed, 5), testing::ElementsAre(6, 7, 8, 9));
  EXPECT_THAT(revisions_after(feed, 7), testing::ElementsAre(8, 9));
  EXPECT_THAT(revisions_after(feed, 5, 2), testing::ElementsAre(6, 7));
  EXPECT_THAT(revisions_after(feed, 9), testing::IsEmpty());
  EXPECT_THAT(revisions_after(feed, 1'000), testing::IsEmpty());
}

TEST(ChangeFeed, SaysWhatIsTooOld) {
  ChangeFeed feed(3, 5);
  EXPECT_TRUE(feed.after(5, 1).has_value());
  feed.publish(changes(6, 9));
  EXPECT_THAT(revisions_after(feed, 6), testing::ElementsAre(7, 8, 9));
  ASSERT_FALSE(feed.after(5, 1).has_value());
  EXPECT_EQ(feed.after(5, 1).error().reason, base::Reason::kTooOld);
  EXPECT_EQ(feed.after(0, 1).error().reason, base::Reason::kTooOld);
}

TEST(ChangeFeed, WaitsForNews) {
  ChangeFeed feed(3, 0);
  EXPECT_FALSE(feed.wait_after(0, 5ms));
  std::thread publisher([&] {
    std::this_thread::sleep_for(10ms);
    feed.publish(changes(1, 1));
  });
  EXPECT_TRUE(feed.wait_after(0, 10s));
  publisher.join();
  feed.close();
  EXPECT_FALSE(feed.wait_after(1, 1h)) << "a closed feed keeps nobody waiting";
}

TEST(ChangeFeed, TellsListenersUntilTheyLeave) {
  ChangeFeed feed(3, 0);
  std::vector<std::uint64_t> heard;
  {
    const auto listening = feed.listen([&](std::uint64_t newest) { heard.push_back(newest); });
    feed.publish(changes(1, 2));
    feed.publish(changes(3, 3));
  }
  feed.publish(changes(4, 4));
  EXPECT_THAT(heard, testing::ElementsAre(2, 3));
}

TEST(CommandQueue, IsBounded) {
  CommandQueue queue(2);
  PendingAsk pending;
  EXPECT_TRUE(queue.put(pending).has_value());
  EXPECT_TRUE(queue.put(pending).has_value());
  const auto full = queue.put(pending);
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error().reason, base::Reason::kUnavailable);
  EXPECT_EQ(queue.take(1, 0ms).size(), 1U);
  EXPECT_TRUE(queue.put(pending).has_value());
}

TEST(CommandQueue, KeepsItsOrderAndDrainsAfterClosing) {
  CommandQueue queue(10);
  for (const char* name : {"a", "b", "c"}) {
    PendingAsk pending{{control::Tick{}, {name, {}, {}}, {}}, {}};
    ASSERT_TRUE(queue.put(pending).has_value());
  }
  queue.close();
  PendingAsk late;
  EXPECT_EQ(queue.put(late).error().reason, base::Reason::kUnavailable);
  const auto taken = queue.take(10, 1h);
  ASSERT_EQ(taken.size(), 3U);
  EXPECT_EQ(taken[0].ask.actor.name, "a");
  EXPECT_EQ(taken[2].ask.actor.name, "c");
  EXPECT_TRUE(queue.take(10, 1h).empty()) << "closed: nobody waits";
}

TEST(CommandQueue, TakesAtOnceWhatArrives) {
  CommandQueue queue(10);
  std::thread putter([&] {
    std::this_thread::sleep_for(10ms);
    PendingAsk pending;
    EXPECT_TRUE(queue.put(pending).has_value());
  });
  EXPECT_EQ(queue.take(10, 1h).size(), 1U);
  putter.join();
}

TEST(ReadGate, AStreamOfReadersDoesNotKeepTheWriterOut) {
  ReadGate gate;
  std::atomic<bool> written = false;
  std::atomic<int> inside = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!written) {
        const auto lock = gate.read();
        ++inside;
        std::this_thread::sleep_for(1ms);
        --inside;
      }
    });
  }
  for (int round = 0; round < 20; ++round) {
    const auto lock = gate.write();
    EXPECT_EQ(inside, 0);
  }
  written = true;
  for (auto& reader : readers) reader.join();
}

class NodeWatchTest : public testing::Test {
 protected:
  NodeWatchTest() {
    pool_ = fleet_.put_pool({"pool", {}, {}, {}, {}, 0});
    for (const char* name : {"n1", "n2", "waiting"}) {
      fleet::Node node;
      node.name = name;
      node.pool = pool_;
      node.phase = node.name == "waiting" ? fleet::NodePhase::kExpected : fleet::NodePhase::kReady;
      fleet_.add_node(node, 1);
    }
  }
  std::vector<std::string> look_after(base::Duration by) { return watch_.look(fleet_, now_ += by); }
  fleet::Fleet fleet_;
  fleet::PoolIndex pool_;
  base::Instant now_{1'000s};
  NodeWatch watch_{30s, now_};
};

TEST_F(NodeWatchTest, NamesNodesThatFellSilent) {
  EXPECT_TRUE(look_after(10s).empty());
  EXPECT_TRUE(look_after(15s).empty());
  watch_.heard("n1", now_);
  EXPECT_THAT(look_after(15s), testing::ElementsAre("n2"));
  EXPECT_THAT(look_after(15s), testing::ElementsAre("n1"));
}

TEST_F(NodeWatchTest, NamesThemAgainOnlyAfterAnotherGrace) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(look_after(9s).empty());
  EXPECT_TRUE(look_after(9s).empty());
  EXPECT_THAT(look_after(9s), testing::ElementsAre("n1", "n2"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(look_after(9s).empty());
  EXPECT_THAT(look_after(9s), testing::ElementsAre("n1", "n2"));
}

TEST_F(NodeWatchTest, BlamesNobodyForTimeItWasAwayItself) {
  EXPECT_TRUE(look_after(10s).empty());
  EXPECT_TRUE(look_after(3'600s).empty()) << "the process was stopped";
  EXPECT_TRUE(look_after(-7'200s).empty()) << "the clock was set back";
  EXPECT_TRUE(look_after(15s).empty());
  EXPECT_THAT(look_after(15s), testing::ElementsAre("n1", "n2"));
}

TEST(Snapshotter, WritesWhenDueAndReportsTrouble) {
  journal::MemoryJournal journal;
  std::atomic<std::uint64_t> revision = 0;
  Snapshotter snapshotter(journal, 10, 0, [&] {
    return journal::Snapshot{revision.load(), "state"};
  });
  const auto reach = [&](std::uint64_t to) {
    revision = to;
    snapshotter.reached(to);
  };
  const auto wait_until = [](auto condition) {
    for (int i = 0; i < 2'000 && !condition(); ++i) std::this_thread::sleep_for(1ms);
    return condition();
  };
  reach(9);
  reach(10);
  EXPECT_TRUE(wait_until([&] { return snapshotter.report().revision == 10; }));
  EXPECT_EQ((*journal.latest_snapshot())->revision, 10U);
  journal.set_away(true);
  reach(20);
  EXPECT_TRUE(wait_until([&] { return !snapshotter.report().trouble.empty(); }));
  journal.set_away(false);
  reach(30);
  EXPECT_TRUE(wait_until([&] { return snapshotter.report().revision == 30; }));
  EXPECT_TRUE(snapshotter.report().trouble.empty());
}

}  // namespace
}  // namespace tessera::service
