#include "control/report_order.h"

#include <gtest/gtest.h>

namespace tessera::control {
namespace {

fleet::NodeReport said(const std::string& boot, std::uint64_t session, std::uint64_t sequence,
                       std::uint64_t heard) {
  return {.node = "node-1",
          .boot = boot,
          .sequence = sequence,
          .session = session,
          .heard_process = heard};
}

class ReportOrderTest : public testing::Test {
 protected:
  /// By process `now_`, from an agent that has heard from it.
  bool hear(const std::string& boot, std::uint64_t session, std::uint64_t sequence) {
    return hear(said(boot, session, sequence, now_));
  }
  bool hear(const fleet::NodeReport& report) {
    const bool fresh = order_.fresh(report, now_);
    order_.note(report, now_);
    return fresh;
  }
  /// The control plane is started anew.
  void restart() {
    order_ = {};
    ++now_;
  }

  std::uint64_t now_ = 100;
  ReportOrder order_;
};

TEST_F(ReportOrderTest, LateAndDoubledReportsSayNothing) {
  EXPECT_TRUE(hear("a", 10, 1));
  EXPECT_FALSE(hear("a", 10, 1));
  EXPECT_TRUE(hear("a", 10, 3));
  EXPECT_FALSE(hear("a", 10, 2));
}

TEST_F(ReportOrderTest, ANewAgentCountsFromOneAgain) {
  EXPECT_TRUE(hear("a", 10, 70));
  EXPECT_TRUE(hear("a", 20, 1));
  EXPECT_FALSE(hear("a", 10, 71)) << "the one before it is gone";
  EXPECT_TRUE(hear("a", 5, 1)) << "a third one, after the clock was set back";
  EXPECT_FALSE(hear("a", 20, 2));
}

TEST_F(ReportOrderTest, AReportFromBeforeTheBootSaysNothing) {
  EXPECT_TRUE(hear("a", 10, 70));
  EXPECT_TRUE(hear("b", 10, 1));
  EXPECT_FALSE(hear("a", 10, 71));
}

TEST_F(ReportOrderTest, AnAgentCountsOnceItHasHeardFromThisProcess) {
  EXPECT_FALSE(hear(said("a", 10, 1, 0)));
  EXPECT_TRUE(hear("a", 10, 2));
  restart();
  EXPECT_FALSE(hear(said("a", 10, 3, now_ - 1)));
  EXPECT_TRUE(hear("a", 10, 4));
}

/// A report of an agent that was gone came after a restart as the first from a process unknown,
/// and was taken for the present one's: what the living agent said was passed over for ever.
TEST_F(ReportOrderTest, AStragglerAfterARestartDoesNotSilenceTheLivingAgent) {
  EXPECT_TRUE(hear("a", 10, 1));
  EXPECT_TRUE(hear("a", 20, 1));
  restart();
  EXPECT_FALSE(hear(said("a", 20, 2, now_ - 1)));
  EXPECT_TRUE(hear("a", 20, 3));
  EXPECT_FALSE(hear(said("a", 10, 2, now_ - 1)));
  EXPECT_TRUE(hear("a", 20, 4));
}

TEST_F(ReportOrderTest, AStragglerThatIsTheFirstOfItsAgentDoesNotSilenceTheLivingOne) {
  EXPECT_FALSE(hear(said("a", 20, 1, 0)));
  EXPECT_TRUE(hear("a", 20, 2));
  EXPECT_FALSE(hear(said("a", 10, 1, 0)));
  EXPECT_TRUE(hear("a", 20, 3));
}

TEST_F(ReportOrderTest, ALateWordOfAnAgentThatWasAnsweredIsKnownForOne) {
  EXPECT_FALSE(hear(said("a", 10, 1, 0)));
  EXPECT_FALSE(hear(said("a", 20, 1, 0)));
  EXPECT_TRUE(hear("a", 20, 2));
  EXPECT_FALSE(hear("a", 10, 2)) << "it had heard from us, but came first";
  EXPECT_TRUE(hear("a", 20, 3));
}

TEST_F(ReportOrderTest, ReportsWithoutANumberAlwaysCount) {
  EXPECT_TRUE(hear("a", 0, 0));
  EXPECT_TRUE(hear("a", 0, 0));
  EXPECT_TRUE(
      order_.fresh({.node = "node-9", .sequence = 1, .session = 1, .heard_process = now_}, now_));
}

}  // namespace
}  // namespace tessera::control
