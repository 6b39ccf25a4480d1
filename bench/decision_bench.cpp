// Decisions of the engine alone: no journal, no network. A decision is one answer to a team: a
// request that is submitted, matched, placed and granted; or a lease that is released, reported
// clean by its node and given back, with the queue looked through.
//
// Goals: at least 200,000 decisions a second on 10,000 GPUs, 99 in 100 within 0.1 ms, and a cost
// that does not grow with the fleet. A refusal, the first of its kind, within 1 ms.

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/busy_fleet.h"

namespace tessera::control {
namespace {

using catalog::Isolation;
using request::Need;

const std::vector<Need> kSlices = {
    {.memory = base::MiB(9'000), .isolation = Isolation::kPartition},
    {.memory = base::MiB(9'000), .isolation = Isolation::kPartition},
    {.memory = base::MiB(19'000), .isolation = Isolation::kPartition},
    {.sms = base::Sms(32), .isolation = Isolation::kPartition},
    {.memory = base::MiB(39'000), .isolation = Isolation::kPartition},
    {.memory = base::MiB(10'000), .isolation = Isolation::kLimited},
};

Need with_host(Need need, std::int64_t cores, std::int64_t gib) {
  need.cpu = base::MilliCpu(cores * 1000);
  need.host_memory = base::MiB(gib * 1024);
  return need;
}

/// Shares of many sizes, whole GPUs and a few slices, each with its part of the host.
const std::vector<Need> kMixed = [] {
  std::vector<Need> needs;
  for (const std::int64_t gib : {4, 8, 10, 16, 24, 40})
    needs.push_back(with_host({.memory = base::MiB(gib * 1024), .isolation = Isolation::kLimited},
                              gib / 4 + 1, gib));
  for (const int gpus : {1, 2})
    needs.push_back(with_host({.isolation = Isolation::kDedicated, .count = gpus}, 8 * gpus, 64));
  needs.push_back(
      with_host({.memory = base::MiB(19'000), .isolation = Isolation::kPartition}, 4, 32));
  needs.push_back(with_host(
      {.memory = base::MiB(9'000), .isolation = Isolation::kPartition, .count = 2}, 4, 32));
  return needs;
}();

/// One iteration is two decisions: a grant and a release.
void decide_on(benchmark::State& bench, BusyFleet& fleet) {
  std::vector<double> nanoseconds;
  const auto timed = [&](auto act) {
    const auto start = std::chrono::steady_clock::now();
    act();
    nanoseconds.push_back(
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count());
  };
  for (auto _ : bench) {
    timed([&] { fleet.grant_one(); });
    timed([&] { fleet.release_one(); });
  }
  bench.counters["decisions_per_s"] =
      benchmark::Counter(static_cast<double>(nanoseconds.size()), benchmark::Counter::kIsRate);
  const auto p99 = nanoseconds.begin() + static_cast<std::ptrdiff_t>(nanoseconds.size() * 99 / 100);
  std::nth_element(nanoseconds.begin(), p99, nanoseconds.end());
  bench.counters["p99_us"] = *p99 / 1000;
  bench.counters["classes"] = static_cast<double>(fleet.state().index().classes());
}

/// Layouts of MIG, and shares; hosts are not counted.
void slices(benchmark::State& bench) {
  const auto gpus = static_cast<int>(bench.range(0));
  BusyFleet fleet(gpus, {}, {}, kSlices, static_cast<std::size_t>(gpus) * 5 / 2);
  decide_on(bench, fleet);
}
BENCHMARK(slices)->Arg(100)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

/// Every need takes CPU and memory of its node: hardly two nodes are in the same state.
void counted_hosts(benchmark::State& bench) {
  const auto gpus = static_cast<int>(bench.range(0));
  BusyFleet fleet(gpus, base::MilliCpu(128'000), base::MiB(1 << 20), kMixed,
                  static_cast<std::size_t>(gpus) * 3 / 2);
  decide_on(bench, fleet);
}
BENCHMARK(counted_hosts)->Arg(100)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

/// A need that is refused or has to wait, told without anything remembered of it: as a dry run is.
/// The fleet is filled until the need does not fit.
void verdict(benchmark::State& bench, const Need& need) {
  const auto gpus = static_cast<int>(bench.range(0));
  const bool counted = need.cpu.count() > 0;
  const auto ask = [&](const BusyFleet& fleet) {
    auto decided =
        decide(fleet.state(), Submit{"bench", {}, need, {}}, fleet.admin(), base::Instant{});
    return decided && std::holds_alternative<LeaseGranted>(decided->back());
  };
  static std::map<std::pair<const Need*, int>, std::unique_ptr<BusyFleet>> fleets;
  if (!fleets.contains({&need, gpus})) {
    fleets.clear();
    auto& fleet = fleets[{&need, gpus}];
    fleet = std::make_unique<BusyFleet>(gpus, base::MilliCpu(counted ? 128'000 : 0),
                                        base::MiB(counted ? 1 << 20 : 0),
                                        counted ? kMixed : kSlices, 0);
    while (ask(*fleet))
      for (int i = 0; i < gpus / 50; ++i) fleet->grant_one();
  }
  const auto& fleet = *fleets.at({&need, gpus});
  for (auto _ : bench) benchmark::DoNotOptimize(ask(fleet));
}
void sizes(benchmark::internal::Benchmark* bench) {
  bench->Arg(100)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);
}

const Need kNineGpus{.isolation = Isolation::kDedicated, .count = 9};
const Need kEightGpus{.isolation = Isolation::kDedicated, .count = 8};
const Need kEightSlices{.sms = base::Sms(60), .isolation = Isolation::kPartition, .count = 8};
const Need kMuchCpu =
    with_host({.memory = base::MiB(4096), .isolation = Isolation::kLimited}, 120, 64);
BENCHMARK_CAPTURE(verdict, never_fits, kNineGpus)->Apply(sizes);
BENCHMARK_CAPTURE(verdict, whole_gpus_do_not_fit_now, kEightGpus)->Apply(sizes);
BENCHMARK_CAPTURE(verdict, slices_do_not_fit_now, kEightSlices)->Apply(sizes);
BENCHMARK_CAPTURE(verdict, hosts_have_too_little, kMuchCpu)->Apply(sizes);

}  // namespace
}  // namespace tessera::control
