#include "wire/capacity_demand.h"

#include <gtest/gtest.h>

#include "wire/test_world.h"

namespace tessera::wire {
namespace {

using catalog::Isolation;
using catalog::Technology;
using namespace std::chrono_literals;

const catalog::Catalog& catalog() {
  static const catalog::Catalog built_in = catalog::Catalog::built_in();
  return built_in;
}

base::Result<control::CapacityDemand> read_demand(const std::string& spec) {
  return decode_capacity_demand("spec: " + spec, "demand.yaml", catalog());
}

TEST(CapacityDemand, ReadsEveryKey) {
  const auto demand = read_demand(R"({serviceLevel: 95%, demand: [
    {tier: production, memory: 18GiB, sms: 30, isolation: dedicated, count: 3, value: 2.5},
    {tier: development, memory: 10GB, arrivalsPerHour: 1.5, meanDuration: 2h},
    {tier: development, profile: 1g.10gb, arrivalsPerHour: 4, meanDuration: 30m,
     serviceLevel: 99.9%}],
    gpus: [{model: H100-80GB-SXM5, price: "24000"}, {model: A30, pricePerHour: 0.5}, {model: L4}],
    years: 4, mig: {serves: [partition]},
    vgpu: {overhead: 12.5%, licencePerGpuYear: 1000, licencePerUserYear: "9.99",
           serves: [limited, virtual]},
    timeSlicing: {oversubscription: {development: 8}, serves: [shared]}})");
  ASSERT_TRUE(demand) << base::to_string(demand.error());
  ASSERT_EQ(demand->lines.size(), 3U);
  EXPECT_EQ(demand->lines[0].memory, base::MiB(18 * 1024));
  EXPECT_EQ(demand->lines[0].sms, base::Sms(30));
  EXPECT_EQ(demand->lines[0].isolation, Isolation::kDedicated);
  EXPECT_EQ(demand->lines[0].value, 2'500'000);
  EXPECT_FALSE(demand->lines[0].arrivals);
  EXPECT_EQ(demand->lines[1].arrivals, (planning::Arrivals{1500, 2h}));
  EXPECT_EQ(demand->lines[1].level, 950'000);
  EXPECT_FALSE(demand->lines[1].isolation);
  EXPECT_EQ(demand->lines[2].level, 999'000);
  EXPECT_EQ(control::yearly_cost(demand->gpus.at(0), demand->years), 6000'00);
  EXPECT_EQ(control::yearly_cost(demand->gpus.at(1), demand->years), 4380'00);
  EXPECT_EQ(control::yearly_cost(demand->gpus.at(2), demand->years), std::nullopt);
  EXPECT_EQ(demand->terms.vgpu_overhead, 125);
  EXPECT_EQ(demand->terms.licence_per_gpu, base::MicroMoney(1'000'000'000));
  EXPECT_EQ(demand->terms.licence_per_user, base::MicroMoney(9'990'000));
  EXPECT_EQ(demand->terms.oversubscription.at("development"), 8);
  EXPECT_EQ(demand->terms.serves.at(Technology::kVgpu),
            (std::vector{Isolation::kLimited, Isolation::kVirtual}));
}

TEST(CapacityDemand, HasTheDefaultsThatAreDocumented) {
  const auto demand = read_demand("{demand: [{tier: production, memory: 1GiB}]}");
  ASSERT_TRUE(demand);
  EXPECT_EQ(demand->lines[0].count, 1);
  EXPECT_EQ(demand->lines[0].level, 990'000);
  EXPECT_EQ(demand->lines[0].value, planning::kUnit);
  EXPECT_EQ(demand->years, 3);
  EXPECT_EQ(demand->terms.vgpu_overhead, 100);
  EXPECT_TRUE(demand->gpus.empty() && demand->terms.serves.empty());
}

TEST(CapacityDemand, TheExampleIsOne) {
  EXPECT_TRUE(decode_capacity_demand(example_text("capacity.yaml"), "capacity.yaml", catalog()));
}

TEST(CapacityDemand, SaysWhereAndWhat) {
  struct Case {
    std::string spec, where;
  };
  const std::string one = "{demand: [{tier: a, memory: 1GiB";
  for (const Case& wrong : std::vector<Case>{
           {"{}", "spec.demand"},
           {"{demand: []}", "spec.demand"},
           {"{demand: [{memory: 1GiB}]}", "spec.demand[0].tier"},
           {"{demand: [{tier: a}]}", "spec.demand[0]"},
           {"{demand: [{tier: a, sms: 4}]}", "spec.demand[0]"},
           {"{demand: [{tier: a, memory: 0GiB}]}", "spec.demand[0].memory"},
           {one + ", profile: 1g.10gb}]}", "spec.demand[0]"},
           {one + ", colour: red}]}", "spec.demand[0].colour"},
           {one + ", count: -1}]}", "spec.demand[0].count"},
           {one + ", value: 0}]}", "spec.demand[0].value"},
           {one + ", isolation: total}]}", "spec.demand[0].isolation"},
           {one + ", meanDuration: 2h}]}", "spec.demand[0].meanDuration"},
           {one + ", serviceLevel: 90%}]}", "spec.demand[0].serviceLevel"},
           {one + ", arrivalsPerHour: 2}]}", "spec.demand[0].meanDuration"},
           {one + ", arrivalsPerHour: 0, meanDuration: 2h}]}", "spec.demand[0].arrivalsPerHour"},
           {one + ", arrivalsPerHour: 2, meanDuration: 2h, count: 3}]}", "spec.demand[0].count"},
           {one + "}], serviceLevel: 100%}", "spec.serviceLevel"},
           {one + "}], serviceLevel: 0.99}", "spec.serviceLevel"},
           {one + "}], years: 0}", "spec.years"},
           {one + "}], gpus: []}", "spec.gpus"},
           {one + "}], gpus: [{model: X9}]}", "spec.gpus[0].model"},
           {one + "}], gpus: [{model: L4}, {model: L4-24GB}]}", "spec.gpus[1].model"},
           {one + "}], gpus: [{model: L4, price: 1, pricePerHour: 1}]}", "spec.gpus[0].price"},
           {one + "}], gpus: [{model: L4, price: -1}]}", "spec.gpus[0].price"},
           {one + "}], vgpu: {overhead: 51%}}", "spec.vgpu.overhead"},
           {one + "}], vgpu: {overhead: 10}}", "spec.vgpu.overhead"},
           {one + "}], vgpu: {serves: [partition]}}", "spec.vgpu.serves"},
           {one + "}], timeSlicing: {serves: [partition]}}", "spec.timeSlicing.serves"},
           {one + "}], timeSlicing: {oversubscription: {b: 2}}}",
            "spec.timeSlicing.oversubscription.b"},
           {one + "}], timeSlicing: {oversubscription: {a: 0}}}",
            "spec.timeSlicing.oversubscription.a"},
           {one + "}], mig: {serves: [dedicated]}}", "spec.mig.serves"}}) {
    const auto demand = read_demand(wrong.spec);
    ASSERT_FALSE(demand) << wrong.spec;
    EXPECT_TRUE(demand.error().where.ends_with(" " + wrong.where))
        << base::to_string(demand.error());
    EXPECT_TRUE(demand.error().where.starts_with("demand.yaml:"))
        << base::to_string(demand.error());
  }
}

TEST(CapacityDemand, LinesKnowWhereTheyStand) {
  const auto demand =
      read_demand("\n  demand:\n    - {tier: a, memory: 1GiB}\n    - {tier: b, memory: 2GiB}");
  ASSERT_TRUE(demand);
  EXPECT_EQ(demand->lines[1].where, "demand.yaml:4 spec.demand[1]");
}

}  // namespace
}  // namespace tessera::wire
