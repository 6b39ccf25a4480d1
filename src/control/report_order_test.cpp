#include "control/report_order.h"

#include <gtest/gtest.h>

namespace tessera::control {
namespace {

const fleet::NodeIndex kNode(3);

fleet::NodeReport said(const std::string& boot, std::uint64_t session, std::uint64_t sequence) {
  return {.node = "node-1", .boot = boot, .sequence = sequence, .session = session};
}

class ReportOrderTest : public testing::Test {
 protected:
  bool hear(const fleet::NodeReport& report) {
    const bool fresh = order_.fresh(kNode, report);
    if (fresh) order_.note(kNode, report);
    return fresh;
  }
  ReportOrder order_;
};

TEST_F(ReportOrderTest, LateAndDoubledReportsSayNothing) {
  EXPECT_TRUE(hear(said("a", 10, 1)));
  EXPECT_FALSE(hear(said("a", 10, 1)));
  EXPECT_TRUE(hear(said("a", 10, 3)));
  EXPECT_FALSE(hear(said("a", 10, 2)));
}

TEST_F(ReportOrderTest, ANewAgentCountsFromOneAgain) {
  EXPECT_TRUE(hear(said("a", 10, 70)));
  EXPECT_TRUE(hear(said("a", 20, 1)));
  EXPECT_FALSE(hear(said("a", 10, 71))) << "the one before it is gone";
  EXPECT_TRUE(hear(said("a", 5, 1))) << "a third one, after the clock was set back";
  EXPECT_FALSE(hear(said("a", 20, 2)));
}

TEST_F(ReportOrderTest, AReportFromBeforeTheBootSaysNothing) {
  EXPECT_TRUE(hear(said("a", 10, 70)));
  EXPECT_TRUE(hear(said("b", 10, 1)));
  EXPECT_FALSE(hear(said("a", 10, 71)));
}

TEST_F(ReportOrderTest, ReportsWithoutANumberAlwaysCount) {
  EXPECT_TRUE(hear(said("a", 0, 0)));
  EXPECT_TRUE(hear(said("a", 0, 0)));
  EXPECT_TRUE(order_.fresh(fleet::NodeIndex(9), said("a", 1, 1)));
}

}  // namespace
}  // namespace tessera::control
