#include "simulation/auditor.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulation/run.h"

/// Bugs planted in the world: the auditor must find each of them, and name the promise.
namespace tessera::simulation {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

/// The first violation among a few seeds; every run gets its own hooks.
std::string found(const std::function<Hooks()>& planted) {
  constexpr std::uint64_t kSeeds = 25;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed)
    if (const auto result = run_seed(seed, planted()); result.violation) return *result.violation;
  return "nothing in " + std::to_string(kSeeds) + " seeds";
}

/// An agent that calls a slice clean without cleaning it, and ready without looking who is there.
TEST(AuditorTest, FindsASliceHandedOverUncleaned) {
  const auto planted = [] {
    const auto was_ready =
        std::make_shared<std::set<std::tuple<std::string, int, std::uint64_t>>>();
    Hooks hooks;
    hooks.on_report = [was_ready](fleet::NodeReport& report) {
      for (auto& gpu : report.gpus)
        for (auto& slice : gpu.slices) {
          const std::tuple key(report.node, int{gpu.number}, slice.generation);
          if (slice.status == fleet::SliceStatus::kReady) was_ready->insert(key);
          if (slice.status != fleet::SliceStatus::kPending || slice.device.empty()) continue;
          slice.status =
              was_ready->contains(key) ? fleet::SliceStatus::kClean : fleet::SliceStatus::kReady;
        }
    };
    return hooks;
  };
  EXPECT_THAT(found(planted), HasSubstr("ScrubBeforeReuse"));
}

TEST(AuditorTest, FindsASliceGrantedTwice) {
  const auto planted = [] {
    Hooks hooks;
    hooks.on_record = [](control::Record& record) {
      for (const auto& event : record.events) {
        const auto* granted = std::get_if<control::LeaseGranted>(&event);
        if (granted == nullptr || record.revision < 100) continue;
        auto twice = *granted;
        twice.lease.id = twice.lease.id.next();
        record.events.push_back(std::move(twice));
        return;
      }
    };
    return hooks;
  };
  EXPECT_THAT(found(planted), HasSubstr("Books"));
}

TEST(AuditorTest, FindsALeaseGivenToAGpuThatIsTaken) {
  const auto planted = [] {
    const auto last = std::make_shared<std::map<fleet::GpuIndex, fleet::SliceShape>>();
    Hooks hooks;
    hooks.on_record = [last](control::Record& record) {
      for (auto& event : record.events)
        if (auto* granted = std::get_if<control::LeaseGranted>(&event))
          for (auto& slice : granted->lease.slices)
            if (std::holds_alternative<fleet::MigSlice>(slice.shape))
              slice.shape = last->try_emplace(slice.gpu, slice.shape).first->second;
    };
    return hooks;
  };
  EXPECT_THAT(found(planted), HasSubstr("Books"));
}

TEST(AuditorTest, FindsAStrangerEndingALease) {
  const auto planted = [] {
    Hooks hooks;
    hooks.on_record = [](control::Record& record) {
      for (const auto& event : record.events)
        if (const auto* ending = std::get_if<control::LeaseEnding>(&event))
          if (ending->reason == base::Reason::kReleased) record.actor.subject = "somebody-else";
    };
    return hooks;
  };
  EXPECT_THAT(found(planted), HasSubstr("ended by another team"));
}

/// A move that breaks before it has made.
TEST(AuditorTest, FindsALeaseThatChangesOverTooSoon) {
  const auto planted = [] {
    Hooks hooks;
    hooks.on_record = [](control::Record& record) {
      for (std::size_t i = 0; i < record.events.size(); ++i)
        if (const auto* moving = std::get_if<control::LeaseMoving>(&record.events[i])) {
          const control::LeaseMoved moved{moving->lease, "before", "after"};
          record.events.insert(record.events.begin() + static_cast<std::ptrdiff_t>(i) + 1, moved);
          return;
        }
    };
    return hooks;
  };
  EXPECT_THAT(found(planted), HasSubstr("changed over to a slice that is not ready"));
}

/// A plan that goes on without telling: its GPUs look free to everyone else.
TEST(AuditorTest, FindsAPlanThatNobodyStarted) {
  const auto planted = [] {
    Hooks hooks;
    hooks.on_record = [](control::Record& record) {
      std::erase_if(record.events, [](const control::Event& event) {
        return std::holds_alternative<control::PlanStarted>(event);
      });
    };
    return hooks;
  };
  // Which of the two sees it first depends on whether a restart comes before a grant.
  EXPECT_THAT(found(planted), AnyOf(HasSubstr("Books"), HasSubstr("ReplayIsExact")));
}

/// A disk that loses the last thing it promised to keep.
TEST(AuditorTest, FindsARecordForgottenByTheJournal) {
  const auto planted = [] {
    Hooks hooks;
    hooks.on_restart = [](journal::MemoryJournal& journal) {
      // A torn tail hides the whole batch before it, once that one is torn as well.
      (void)journal.last_revision();
      auto log = journal.log();
      log.pop_back();
      journal.set_log(std::move(log));
    };
    return hooks;
  };
  EXPECT_THAT(found(planted), HasSubstr("ReplayIsExact"));
}

TEST(AuditorTest, FindsANodeThatIsNeverTold) {
  const auto planted = [] {
    Hooks hooks;
    hooks.on_target = [](const fleet::NodeTarget& target) { return target.node != "node-1"; };
    return hooks;
  };
  EXPECT_THAT(found(planted), HasSubstr("LeaseMeansDevice"));
}

TEST(AuditorTest, FindsLeasesThatNeverEnd) {
  const auto planted = [] {
    Hooks hooks;
    hooks.on_command = [](const control::Command& command) {
      return !std::holds_alternative<control::Tick>(command);
    };
    return hooks;
  };
  EXPECT_THAT(found(planted), HasSubstr("LeasesEnd"));
}

}  // namespace
}  // namespace tessera::simulation
