// Capacity questions whose answers were worked out by hand, and sizings against the joint model of
// layouts, GPU by GPU.

#include <gtest/gtest.h>

#include "base/random.h"
#include "control/capacity_answer.h"
#include "placement/fit.h"
#include "planning/plan.h"
#include "solver/coin_solver.h"
#include "solver/unhurried.h"

namespace tessera::control {
namespace {

using catalog::Catalog;
using catalog::Isolation;
using namespace std::chrono_literals;

const Catalog& catalog() {
  static const Catalog built_in = Catalog::built_in();
  return built_in;
}

catalog::ModelIndex model(const char* name) {
  return *catalog().find(name);
}

/// Empty GPUs of one pool that carries the three usual tiers.
FleetAtHand fleet_of(const char* name, std::int64_t count) {
  FleetAtHand fleet;
  for (tenancy::Tier& tier : tenancy::default_tiers()) fleet.tiers.emplace(tier.name, tier);
  const auto pool = fleet.fleet.put_pool(
      {.name = "pool",
       .model = model(name),
       .tiers = {"production", "staging", "development"},
       .technologies = {Technology::kTimeSlicing, Technology::kMig, Technology::kWhole}});
  fleet.gpus.push_back({{pool, placement::empty_gpu(fleet.fleet.pool(pool)), 0}, count});
  return fleet;
}

DemandLine line(const char* tier, std::int64_t mebibytes, std::int64_t count,
                std::int64_t sms = 0) {
  return {.tier = tier,
          .memory = base::MiB(mebibytes),
          .sms = base::Sms(sms),
          .count = count,
          .where = "spec.demand[0]"};
}

base::Result<CapacityAnswer> ask(const FleetAtHand& fleet, const CapacityDemand& demand,
                                 const std::vector<Addition>& additions = {}) {
  return answer_capacity(catalog(), fleet, demand, additions, solver::make_coin_solver,
                         planning::Unhurried());
}

const TechniqueSizing& by(const CapacityAnswer& answer, Technology technology) {
  return *std::ranges::find(answer.techniques, technology, &TechniqueSizing::technology);
}

TEST(Capacity, CountsGpusForLayoutsAndForShares) {
  // 30 SMs take a 2g.20gb: three on an H100. Shares of a tier that hands compute out four times:
  // four.
  const CapacityDemand demand{
      .lines = {line("production", 18 * 1024, 10, 30), line("development", 9537, 9)},
      .gpus = {},
      .terms = {}};
  const auto answer = ask(fleet_of("H100-80GB-SXM5", 5), demand);
  ASSERT_TRUE(answer) << base::to_string(answer.error());
  const Sizing& alone = answer->models.at(0).alone;
  EXPECT_EQ(alone.total, 4 + 3);
  EXPECT_TRUE(alone.proven);
  EXPECT_EQ(answer->models.at(0).beside.total, 2);
  EXPECT_EQ(answer->now.bound, answer->now.served);
  EXPECT_FALSE(answer->planned);
}

TEST(Capacity, ServesWhatIsWorthMost) {
  // Five GPUs: two whole ones are worth 20, then three slots of 3 on each of the others beat four
  // shares of 1.
  CapacityDemand demand{
      .lines = {line("production", 60 * 1024, 2), line("production", 18 * 1024, 6, 30),
                line("development", 9537, 9)},
      .gpus = {},
      .terms = {}};
  demand.lines[0].value = 10 * planning::kUnit;
  demand.lines[1].value = 3 * planning::kUnit;
  const auto answer = ask(fleet_of("H100-80GB-SXM5", 5), demand, {{model("H100-80GB-SXM5"), 1}});
  ASSERT_TRUE(answer);
  const auto served = [](const Serving& serving) {
    std::vector<std::int64_t> slots;
    for (const LineFigures& of : serving.lines) slots.push_back(of.served / planning::kSlot);
    return slots;
  };
  EXPECT_EQ(served(answer->now), (std::vector<std::int64_t>{2, 6, 4}));
  EXPECT_EQ(served(*answer->added), (std::vector<std::int64_t>{2, 6, 8}));
  EXPECT_TRUE(answer->now.proven && answer->added->proven);
  EXPECT_EQ(answer->now.lines[1].part, base::GpuFraction(6 * base::kWholeGpu.count() * 2 / 7));
}

TEST(Capacity, TimeSlicingIsNeverCountedAsAPartition) {
  const CapacityDemand demand{.lines = {line("production", 9537, 7), line("development", 9537, 8)},
                              .gpus = {},
                              .terms = {}};
  const auto answer = ask(fleet_of("H100-80GB-SXM5", 1), demand);
  ASSERT_TRUE(answer);
  const auto& slicing = by(*answer, Technology::kTimeSlicing);
  EXPECT_EQ(slicing.slots, 8);
  EXPECT_EQ(slicing.alone.total, 2);
  EXPECT_NE(slicing.refused.at(0).find("limited, not partition"), std::string::npos);
  EXPECT_EQ(slicing.whole.total, 3);
  const auto& mig = by(*answer, Technology::kMig);
  EXPECT_EQ(mig.slots, 15);
  EXPECT_EQ(mig.alone.total, 3);
  EXPECT_EQ(by(*answer, Technology::kWhole).alone.total, 15);
}

TEST(Capacity, OverheadTakesMoreVgpus) {
  const auto& a100 = catalog().model(model("A100-80GB-PCIe"));
  ASSERT_FALSE(a100.vgpu_types.empty());
  CapacityDemand demand{.lines = {line("staging", 9537, 36)},
                        .gpus = {{.model = model("A100-80GB-PCIe"),
                                  .per_hour = base::MicroMoney(1'000'000),
                                  .purchase = {}}},
                        .terms = {}};
  demand.terms.licence_per_gpu = base::MicroMoney(500'000'000);
  demand.terms.licence_per_user = base::MicroMoney(10'000'000);
  std::int64_t least = 0;
  for (const auto& type : a100.vgpu_types)
    if (type.framebuffer >= base::MiB(9537) && (least == 0 || type.max_per_gpu > least))
      least = type.max_per_gpu;
  const auto answer = ask(fleet_of("H100-80GB-SXM5", 1), demand);
  ASSERT_TRUE(answer);
  // 36 slots of work are 40 vGPUs at nine tenths each.
  const Sizing& sizing = by(*answer, Technology::kVgpu).alone;
  EXPECT_EQ(sizing.total, (40 + least - 1) / least);
  EXPECT_EQ(sizing.licences, sizing.total * 500'00 + 40 * 10'00);
  EXPECT_EQ(sizing.cost, sizing.total * 8760'00 + sizing.licences);
  demand.terms.vgpu_overhead = 0;
  EXPECT_EQ(by(*ask(fleet_of("H100-80GB-SXM5", 1), demand), Technology::kVgpu).alone.total,
            (36 + least - 1) / least);
}

TEST(Capacity, TheCheapestMixIsProven) {
  // A100: two slots of 3g.40gb for 3000 a year; H100: three of 2g.20gb for 6000.
  CapacityDemand demand{.lines = {line("production", 18 * 1024, 12, 30)},
                        .gpus = {{.model = model("H100-80GB-SXM5"),
                                  .per_hour = {},
                                  .purchase = base::MicroMoney(24'000'000'000)},
                                 {.model = model("A100-80GB-SXM4"),
                                  .per_hour = {},
                                  .purchase = base::MicroMoney(12'000'000'000)}},
                        .years = 4,
                        .terms = {}};
  const auto answer = ask(fleet_of("H100-80GB-SXM5", 1), demand);
  ASSERT_TRUE(answer);
  ASSERT_TRUE(answer->cheapest);
  EXPECT_EQ(answer->cheapest->gpus, (std::vector<std::int64_t>{0, 6}));
  EXPECT_EQ(answer->cheapest->cost, 18'000'00);
  EXPECT_EQ(answer->cheapest->bound, 18'000'00);
  EXPECT_TRUE(answer->cheapest->proven);
}

TEST(Capacity, APlanMakesRoomForMore) {
  // Two H100s, each with one 3g.40gb that may move: a whole GPU fits once they are together.
  FleetAtHand fleet = fleet_of("H100-80GB-SXM5", 2);
  GpusAlike& gpus = fleet.gpus.front();
  gpus.each.occupancy.add(
      fleet::MigSlice{*catalog().model(model("H100-80GB-SXM5")).find_instance("3g.40gb", 0)});
  const CapacityDemand demand{.lines = {line("production", 60 * 1024, 1)}, .gpus = {}, .terms = {}};
  const auto answer = ask(fleet, demand);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->now.lines[0].served, 0);
  ASSERT_TRUE(answer->planned);
  EXPECT_EQ(answer->planned->lines[0].served, planning::kSlot);
  EXPECT_EQ(answer->rooms.at(0).now.name, "3g.40gb");
  EXPECT_GE(answer->rooms.at(0).planned.memory, base::MiB(79 * 1024));
  gpus.each.pinned = gpus.each.occupancy.held;
  EXPECT_FALSE(ask(fleet, demand)->planned);
}

TEST(Capacity, ErrorsNameTheField) {
  const FleetAtHand fleet = fleet_of("H100-80GB-SXM5", 1);
  CapacityDemand demand{.lines = {line("gold", 9537, 1)}, .gpus = {}, .terms = {}};
  const auto where = [&] { return ask(fleet, demand).error().where; };
  EXPECT_EQ(where(), "spec.demand[0].tier");
  demand.lines = {line("production", 500 * 1024, 1)};
  EXPECT_EQ(where(), "spec.demand[0].memory");
  demand.lines = {line("development", 9537, 1)};
  demand.lines[0].isolation = Isolation::kPartition;
  EXPECT_EQ(where(), "spec.demand[0].isolation");
}

/// The fewest empty GPUs whose best joint layout serves everything, one more at a time.
std::int64_t fewest_by_planning(catalog::ModelIndex of, const std::vector<DemandLine>& lines) {
  planning::Problem problem;
  std::int64_t all = 0;
  for (const DemandLine& one : lines) {
    const auto profile = *catalog().model(of).find_profile(one.profile);
    problem.demands.push_back(
        {.kinds = {{of, static_cast<std::uint16_t>(profile)}}, .count = one.count});
    all += one.count * planning::kUnit;
  }
  for (std::int64_t gpus = 1;; ++gpus) {
    problem.classes = planning::merge(std::vector<planning::GpuState>{{.model = of}},
                                      std::vector<std::int64_t>{gpus});
    if (make_plan(problem, catalog(), solver::make_coin_solver, planning::Unhurried()).served ==
        all)
      return gpus;
  }
}

TEST(CapacityProperty, TheSizingIsTheLeastFleetThatPlanningFills) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    base::SeededRandom random(seed);
    const char* const name = random.chance(1, 2) ? "H100-80GB-SXM5" : "A30-24GB";
    const auto of = model(name);
    std::vector<const catalog::MigProfile*> plain;
    for (const auto& profile : catalog().model(of).profiles)
      if (profile.plain()) plain.push_back(&profile);
    CapacityDemand demand{.lines = {}, .gpus = {}, .terms = {}};
    for (std::uint64_t i = 1 + random.below(3); i > 0; --i)
      demand.lines.push_back({.tier = "production",
                              .profile = plain[random.below(plain.size())]->name,
                              .count = 1 + static_cast<std::int64_t>(random.below(9)),
                              .where = "spec.demand"});
    const auto answer = ask(fleet_of(name, 1), demand);
    ASSERT_TRUE(answer) << base::to_string(answer.error());
    EXPECT_TRUE(answer->models.at(0).alone.proven);
    EXPECT_EQ(answer->models.at(0).alone.total, fewest_by_planning(of, demand.lines));
  }
}

}  // namespace
}  // namespace tessera::control
