// Decisions of the engine alone: no journal, no network. A decision is a whole request: submitted,
// matched, placed and granted, and the lease that made room for it released and verified free.
//
// Goals: at least 100,000 decisions a second, and a cost that does not grow with the fleet.

#include <algorithm>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/random.h"
#include "control/step.h"
#include "tenancy/tier.h"

namespace tessera::control {
namespace {

using catalog::Isolation;
using request::Need;

const tenancy::Actor kAdmin{"bench", tenancy::Role::kAdmin, ""};

/// Nodes of eight H100s, nine in ten of their slices held by a mix of needs, so that the layouts
/// are as mixed as after months of use.
class BusyFleet {
 public:
  explicit BusyFleet(int gpus)
      : state_(std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in())) {
    for (const auto& tier : tenancy::default_tiers()) run(PutTier{tier}, kAdmin);
    fleet::Pool pool{.name = "h100",
                     .model = *state_.catalog().find("H100-80GB-SXM5"),
                     .tiers = {"production", "development"},
                     .technologies = {catalog::Technology::kTimeSlicing, catalog::Technology::kMig,
                                      catalog::Technology::kWhole}};
    run(PutPool{pool}, kAdmin);
    run(PutTeam{{.name = "bench"}}, kAdmin);
    for (int i = 0; i * 8 < gpus; ++i) {
      const auto name = "node-" + std::to_string(i);
      run(PutNode{name, "h100", 8, {}, {}}, kAdmin);
      fleet::NodeReport report{.node = name, .boot = "1"};
      run(Report{report}, {"agent", tenancy::Role::kAgent, name});
    }
    const std::size_t wanted = static_cast<std::size_t>(gpus) * 5 / 2;
    while (held_.size() < wanted) ask();
  }

  /// One request in, one lease out.
  void turn_over() {
    ask();
    end_one();
  }

  std::size_t classes() const { return state_.index().classes(); }

 private:
  Record run(const Command& command, const tenancy::Actor& actor) {
    auto record = step(state_, command, actor, now_);
    if (!record) throw std::runtime_error(base::to_string(record.error()));
    return std::move(*record);
  }

  void ask() {
    static const std::vector<Need> kNeeds = {
        {.memory = base::MiB(9'000), .isolation = Isolation::kPartition},
        {.memory = base::MiB(9'000), .isolation = Isolation::kPartition},
        {.memory = base::MiB(19'000), .isolation = Isolation::kPartition},
        {.sms = base::Sms(32), .isolation = Isolation::kPartition},
        {.memory = base::MiB(39'000), .isolation = Isolation::kPartition},
        {.memory = base::MiB(10'000), .isolation = Isolation::kLimited},
    };
    const auto record = run(Submit{"bench", {}, kNeeds[random_.below(kNeeds.size())], {}}, kAdmin);
    const auto* granted = std::get_if<LeaseGranted>(&record.events.back());
    if (granted != nullptr) {
      held_.push_back(granted->lease.id);
      return;
    }
    run(Cancel{std::get<RequestMoved>(record.events.back()).request}, kAdmin);
    end_one();
  }

  /// Releases a lease and lets its node report the slices clean.
  void end_one() {
    const auto at = random_.below(held_.size());
    std::swap(held_[at], held_.back());
    const auto id = held_.back();
    held_.pop_back();
    const auto lease = *state_.find(id);
    run(Release{id}, kAdmin);
    const auto& name = state_.fleet().node(lease.node).name;
    fleet::NodeReport report{.node = name, .boot = "1"};
    for (const auto& slice : lease.slices)
      report.gpus.push_back({.number = state_.fleet().gpu(slice.gpu).number,
                             .slices = {{slice.generation, fleet::SliceStatus::kClean, {}, {}}}});
    run(Report{report}, {"agent", tenancy::Role::kAgent, name});
    now_ += std::chrono::seconds(1);
  }

  State state_;
  base::SeededRandom random_{42};
  base::Instant now_{};
  std::vector<LeaseId> held_;
};

/// One iteration is three steps: a grant, a release and the report that frees the slice.
void turnover(benchmark::State& bench) {
  BusyFleet fleet(static_cast<int>(bench.range(0)));
  std::vector<double> nanoseconds;
  for (auto _ : bench) {
    const auto start = std::chrono::steady_clock::now();
    fleet.turn_over();
    nanoseconds.push_back(
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count());
  }
  bench.SetItemsProcessed(bench.iterations());
  const auto p99 = nanoseconds.begin() + static_cast<std::ptrdiff_t>(nanoseconds.size() * 99 / 100);
  std::nth_element(nanoseconds.begin(), p99, nanoseconds.end());
  bench.counters["p99_us"] = *p99 / 1000;
  bench.counters["classes"] = static_cast<double>(fleet.classes());
}
BENCHMARK(turnover)->Arg(100)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tessera::control
