#include "simulation/packing_bound.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "simulation/trace_fleet.h"
#include "solver/coin_solver.h"

namespace tessera::simulation {
namespace {

double bound_of(const std::vector<TraceNode>& nodes, const std::vector<TracePod>& pods,
                Scope scope = Scope::kNodes) {
  std::vector<const TracePod*> arrived;
  for (const auto& pod : pods) arrived.push_back(&pod);
  return packing_bound(nodes, arrived, scope, solver::make_coin_solver).milli_gpus;
}

constexpr double kNear = 1e-3;

TEST(PackingBoundTest, APartComesFromOneGpu) {
  const std::vector pods(5, trace_pod("p", 1, 600, 1));
  EXPECT_NEAR(bound_of({trace_node("a", 4, 64'000, "T4")}, pods), 2400, kNear);
}

TEST(PackingBoundTest, PartsThatGoTogetherCount) {
  std::vector<TracePod> pods(4, trace_pod("p", 1, 600, 1));
  pods.push_back(trace_pod("q", 1, 400, 1));
  EXPECT_NEAR(bound_of({trace_node("a", 2, 64'000, "T4")}, pods), 1600, kNear);
}

TEST(PackingBoundTest, TheHostAndTheModelCountUnlessGpusAloneDo) {
  const std::vector nodes = {trace_node("a", 4, 8'000, "T4"), trace_node("b", 4, 64'000, "A10")};
  const std::vector pods(8, trace_pod("p", 1, 1000, 4'000, {"T4"}));
  EXPECT_NEAR(bound_of(nodes, pods), 2000, kNear);
  EXPECT_NEAR(bound_of(nodes, pods, Scope::kGpusAlone), 8000, kNear);
}

TEST(PackingBoundTest, SeveralGpusComeFromOneNode) {
  const std::vector pods(3, trace_pod("p", 2, 1000, 1));
  const std::vector nodes = {trace_node("a", 3, 64'000, "T4"), trace_node("b", 3, 64'000, "T4")};
  EXPECT_NEAR(bound_of(nodes, pods), 4000, kNear);
}

/// The best packing, found by trying every GPU for every pod.
class Exhaustive {
 public:
  Exhaustive(const std::vector<TraceNode>& nodes, const std::vector<TracePod>& pods)
      : nodes_(nodes), pods_(pods) {
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      cpu_.push_back(nodes[n].cpu.count());
      for (int i = 0; i < nodes[n].gpus; ++i) gpus_.push_back({n, 1000});
    }
  }
  std::int64_t best(std::size_t from = 0) {
    if (from == pods_.size()) return 0;
    const auto& pod = pods_[from];
    auto most = best(from + 1);
    for (auto& [node, free] : gpus_) {
      const auto share = pod.share.count(), cpu = pod.cpu.count();
      const bool allowed = pod.models.empty() || pod.models[0] == nodes_[node].model;
      if (!allowed || free < share || cpu_[node] < cpu) continue;
      free -= share;
      cpu_[node] -= cpu;
      most = std::max(most, share + best(from + 1));
      free += share;
      cpu_[node] += cpu;
    }
    return most;
  }

 private:
  const std::vector<TraceNode>& nodes_;
  const std::vector<TracePod>& pods_;
  std::vector<std::int64_t> cpu_;
  std::vector<std::pair<std::size_t, std::int64_t>> gpus_;  ///< node, free
};

TEST(PackingBoundPropertyTest, NoPackingHoldsMore) {
  int tight = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    base::SeededRandom random(seed);
    const std::vector nodes = {trace_node("a", 2, 10'000, "T4"), trace_node("b", 1, 6'000, "A10")};
    constexpr std::int64_t kShares[] = {230, 320, 470, 550, 810, 1000};
    std::vector<TracePod> pods;
    for (int i = 0; i < 7; ++i)
      pods.push_back(trace_pod(
          "p", 1, kShares[random.below(6)], 1'000 * static_cast<std::int64_t>(1 + random.below(5)),
          random.chance(1, 3) ? std::vector<std::string>{"A10"} : std::vector<std::string>{}));
    const auto best = static_cast<double>(Exhaustive(nodes, pods).best());
    const auto bound = bound_of(nodes, pods);
    EXPECT_GE(bound, best) << "seed " << seed;
    EXPECT_LE(bound, bound_of(nodes, pods, Scope::kGpusAlone) + kNear) << "seed " << seed;
    tight += bound <= best + kNear ? 1 : 0;
  }
  EXPECT_GT(tight, 6);
}

/// How many pods of a published list ask for so many GPUs, or for such a part of one.
struct Asked {
  int gpus = 0;
  std::int64_t share = 0;
  int pods = 0;
};
const std::vector<Asked> kDefault = {
    {1, 50, 7},    {1, 110, 24},   {1, 140, 1},     {1, 160, 74},  {1, 220, 62},  {1, 230, 140},
    {1, 270, 4},   {1, 290, 1},    {1, 320, 328},   {1, 330, 7},   {1, 350, 6},   {1, 370, 47},
    {1, 440, 2},   {1, 460, 128},  {1, 470, 750},   {1, 480, 19},  {1, 550, 72},  {1, 590, 75},
    {1, 650, 253}, {1, 810, 1078}, {1, 1000, 3911}, {2, 1000, 16}, {4, 1000, 15}, {8, 1000, 44}};
const std::vector<Asked> kGpushare100 = {
    {1, 50, 14},   {1, 110, 58},  {1, 140, 1},   {1, 160, 154}, {1, 220, 141},
    {1, 230, 337}, {1, 270, 9},   {1, 290, 3},   {1, 320, 800}, {1, 330, 16},
    {1, 350, 19},  {1, 370, 111}, {1, 440, 3},   {1, 460, 304}, {1, 470, 1723},
    {1, 480, 40},  {1, 550, 143}, {1, 590, 180}, {1, 650, 572}, {1, 810, 2436}};

struct Published {
  const std::vector<Asked>* list = nullptr;
  double at_100 = 0;
  double at_130 = 0;
};
class PublishedBoundTest : public testing::TestWithParam<Published> {};

/// Bounds on GPUs alone have been published for these lists on 6,212 GPUs: the mean over orders of
/// arrival. Here the mean of three orders.
TEST_P(PublishedBoundTest, IsReproduced) {
  constexpr std::int64_t kGpus = 6212;
  std::vector<TracePod> pods;
  for (const auto& asked : *GetParam().list)
    pods.insert(pods.end(), static_cast<std::size_t>(asked.pods),
                trace_pod("p", asked.gpus, asked.share, 0));
  const std::vector nodes = {trace_node("a", kGpus, 1, "T4")};
  constexpr int kOrders = 3;
  double at_100 = 0, at_130 = 0;
  for (std::uint64_t seed = 1; seed <= kOrders; ++seed) {
    base::SeededRandom random(seed);
    std::vector<const TracePod*> arrived;
    std::int64_t asked = 0;
    const auto until = [&](std::int64_t percent) {
      while (asked < kGpus * 10 * percent) {
        const bool again = arrived.size() >= pods.size();
        arrived.push_back(again ? &pods[random.below(pods.size())] : &pods[arrived.size()]);
        asked += arrived.back()->milli_gpus();
      }
      return packing_bound(nodes, arrived, Scope::kGpusAlone, solver::make_coin_solver).milli_gpus /
             (kGpus * 10 * kOrders);
    };
    for (std::size_t i = pods.size() - 1; i > 0; --i) std::swap(pods[i], pods[random.below(i + 1)]);
    at_100 += until(100);
    at_130 += until(130);
  }
  EXPECT_NEAR(at_100, GetParam().at_100, 0.1);
  EXPECT_NEAR(at_130, GetParam().at_130, 0.15);
}

INSTANTIATE_TEST_SUITE_P(Lists, PublishedBoundTest,
                         testing::Values(Published{&kDefault, 96.90, 99.89},
                                         Published{&kGpushare100, 89.16, 91.61}));

}  // namespace
}  // namespace tessera::simulation
