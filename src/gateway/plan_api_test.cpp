#include "gateway/api_world.h"
#include "solver/coin_solver.h"

namespace tessera::gateway {
namespace {

class PlanApiTest : public ApiWorld {
 protected:
  void SetUp() override { start({.solver = solver::make_coin_solver}); }

  std::string state_of(const std::string& plan) {
    return call("viewer", "GET", "/v1/plans/" + plan).json().at("status").at("state");
  }
};

TEST_F(PlanApiTest, ADryRunShowsAPlanAndKeepsNone) {
  const auto reply = call("operator", "POST", "/v1/plans?dryRun=true",
                          R"({"demand":[{"profile":"1g.10gb","count":2}]})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const auto plan = reply.json();
  EXPECT_EQ(plan.at("kind"), "Plan");
  EXPECT_EQ(plan.at("metadata").at("name"), "");
  EXPECT_EQ(plan.at("status").at("served"), 2);
  EXPECT_EQ(plan.at("status").at("proven"), true);
  EXPECT_EQ(plan.at("status").at("demand").at(0).at("text"), "1g.10gb");
  EXPECT_TRUE(call("viewer", "GET", "/v1/plans").json().at("items").empty());
}

TEST_F(PlanApiTest, APlanIsKeptAppliedAndOver) {
  const auto made = call("operator", "POST", "/v1/plans");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.json().at("metadata").at("name"), "plan-1");
  EXPECT_EQ(made.json().at("metadata").at("createdBy"), "operator");
  EXPECT_EQ(state_of("plan-1"), "proposed");
  EXPECT_EQ(call("operator", "POST", "/v1/plans/plan-1/apply?dryRun=true").status, 200);
  EXPECT_EQ(state_of("plan-1"), "proposed");

  const auto applied = call("operator", "POST", "/v1/plans/plan-1/apply");
  EXPECT_EQ(applied.status, 200) << applied.body;
  EXPECT_EQ(state_of("plan-1"), "done") << "nothing waits, so nothing moves";
  EXPECT_EQ(call("operator", "POST", "/v1/plans/plan-1/abort").status, 200);
  EXPECT_EQ(state_of("plan-1"), "done");
  const auto again = call("operator", "POST", "/v1/plans/plan-1/apply");
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.reason(), "WrongState");
  EXPECT_EQ(call("viewer", "GET", "/v1/plans").json().at("items").size(), 1u);
}

TEST_F(PlanApiTest, OperatorsPlanAndEverybodyMayLook) {
  EXPECT_EQ(call("member", "POST", "/v1/plans").status, 403);
  EXPECT_EQ(call("viewer", "POST", "/v1/plans/plan-1/apply").status, 403);
  EXPECT_EQ(call("viewer", "GET", "/v1/plans").status, 200);
  EXPECT_EQ(call("viewer", "GET", "/v1/plans/plan-1").status, 404);
  EXPECT_EQ(call("operator", "POST", "/v1/plans/nonsense/apply").status, 404);
}

TEST_F(PlanApiTest, AnOrderThatContradictsItselfIsRefused) {
  for (const char* body :
       {R"({"spare":1})", R"({"timeLimit":"2h"})", R"({"demand":[{"count":1}]})",
        R"({"demand":[{"profile":"1g.10gb","memory":"10GB"}]})", R"({"demand":{}})"}) {
    const auto reply = call("operator", "POST", "/v1/plans", body);
    EXPECT_EQ(reply.status, 400) << body << reply.body;
  }
  const auto never = call("operator", "POST", "/v1/plans", R"({"demand":[{"profile":"9g.1tb"}]})");
  EXPECT_EQ(never.reason(), "NeverFits");
}

TEST_F(PlanApiTest, WhatWasAskedForIsShownAndPlannedFor) {
  ASSERT_EQ(call("member", "POST", "/v1/requests", kNeed).status, 201);
  report();
  clock_.advance(3h);
  const auto history = call("viewer", "GET", "/v1/history?over=2h");
  ASSERT_EQ(history.status, 200) << history.body;
  EXPECT_EQ(history.json().at("series").at(0).at("peaks").dump(), "[1,1]");
  const auto forecast =
      call("viewer", "GET", "/v1/forecast?percentile=50&headroom=3&for=1h&at=Sat%2002:00");
  ASSERT_EQ(forecast.status, 200) << forecast.body;
  EXPECT_EQ(forecast.json().at("kind"), "Forecast");
  EXPECT_EQ(forecast.json().at("lines").at(0).at("expected"), 3);
  EXPECT_EQ(call("viewer", "GET", "/v1/forecast?percentile=0").status, 400);
  EXPECT_EQ(call("viewer", "GET", "/v1/forecast?percentile=x").status, 400);
  EXPECT_EQ(call("viewer", "GET", "/v1/forecast?at=noon").status, 400);
  EXPECT_EQ(call("", "GET", "/v1/history").status, 401);

  const auto made = call("operator", "POST", "/v1/plans", R"({"forecast":{"headroom":3}})");
  ASSERT_EQ(made.status, 201) << made.body;
  const auto kept = call("viewer", "GET", "/v1/plans/plan-1").json().at("status");
  EXPECT_EQ(kept.at("forecast").at("lines").at(0).at("more"), 2);
  EXPECT_EQ(kept.at("demand").at(0).at("served"), 2);
  EXPECT_EQ(kept.at("served"), 0.002) << "what may come counts little beside what is needed";
}

TEST_F(PlanApiTest, WithoutASolverThereAreNoPlans) {
  start({});
  const auto reply = call("operator", "POST", "/v1/plans");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.reason(), "Unavailable");
}

}  // namespace
}  // namespace tessera::gateway
