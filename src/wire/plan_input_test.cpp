#include "wire/plan_input.h"

#include <gtest/gtest.h>

namespace tessera::wire {
namespace {

base::Result<PlanInput> read_plan(const std::string& spec) {
  static const catalog::Catalog catalog = catalog::Catalog::built_in();
  return decode_plan_input("spec: " + spec, "plan.yaml", catalog);
}

TEST(PlanInput, MergesGpusInTheSameState) {
  const auto input = read_plan(R"({gpus: [{model: A30}, {model: A30-24GB, count: 4},
    {model: A30, slices: [{profile: 2g.12gb, start: 2, weight: 0.5}, {profile: 1g.6gb, start: 0,
     free: true}]}], demand: [{memory: 5GiB, count: 2, value: 1.5}]})");
  ASSERT_TRUE(input) << base::to_string(input.error());
  ASSERT_EQ(input->problem.classes.size(), 2U);
  EXPECT_EQ(input->problem.classes[0].count, 5);
  EXPECT_EQ(input->problem.classes[0].entries.size(), 2U);
  const auto& used = input->problem.classes[1].state;
  EXPECT_EQ(used.weights, std::vector<std::int64_t>{planning::kUnit / 2});
  EXPECT_NE(used.layout, used.leased);
  EXPECT_EQ(input->problem.demands[0].value, planning::kUnit * 3 / 2);
}

TEST(PlanInput, SaysWhereAndWhat) {
  struct Case {
    std::string spec, where;
  };
  const std::string gpu = "{gpus: [{model: H100-80GB-SXM5";
  for (const Case& one : std::vector<Case>{
           {"{gpus: []}", "spec.gpus"},
           {"{gpus: [{model: X9}]}", "spec.gpus[0].model"},
           {"{gpus: [{model: L40S-48GB}]}", "spec.gpus[0].model"},
           {gpu + ", count: 0}]}", "spec.gpus[0].count"},
           {gpu + ", colour: red}]}", "spec.gpus[0].colour"},
           {gpu + ", slices: [{profile: 3g.40gb, start: 3}]}]}", "spec.gpus[0].slices[0].start"},
           {gpu + ", slices: [{profile: 9g, start: 0}]}]}", "spec.gpus[0].slices[0].profile"},
           {gpu + ", slices: [{profile: 3g.40gb, start: 4}, {profile: 1g.10gb, start: 5}]}]}",
            "spec.gpus[0].slices[1]"},
           {gpu + ", slices: [{profile: 3g.40gb, start: 4, free: true, movable: false}]}]}",
            "spec.gpus[0].slices[0].movable"},
           {gpu + ", slices: [{profile: 3g.40gb, start: 4, weight: -1}]}]}",
            "spec.gpus[0].slices[0].weight"},
           {gpu + "}], demand: [{profile: 9g.1gb}]}", "spec.demand[0].profile"},
           {gpu + "}], demand: [{profile: 1g.10gb, memory: 1GiB}]}", "spec.demand[0]"},
           {gpu + "}], demand: [{sms: 16}]}", "spec.demand[0]"},
           {gpu + "}], demand: [{memory: 1000GiB}]}", "spec.demand[0].memory"},
           {gpu + "}], demand: [{memory: 10}]}", "spec.demand[0].memory"},
           {gpu + "}], demand: [{memory: 9GiB, value: 1000000, count: 100000000}]}",
            "spec.demand[0]"},
           {gpu + "}], maxParallel: 0}", "spec.maxParallel"}}) {
    const auto input = read_plan(one.spec);
    ASSERT_FALSE(input) << one.spec;
    EXPECT_TRUE(input.error().where.ends_with(" " + one.where)) << base::to_string(input.error());
    EXPECT_TRUE(input.error().where.starts_with("plan.yaml:")) << base::to_string(input.error());
  }
}

}  // namespace
}  // namespace tessera::wire
