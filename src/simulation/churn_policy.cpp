#include "simulation/churn_policy.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <tuple>

#include "base/check.h"
#include "simulation/unhurried.h"

namespace tessera::simulation {
namespace {

using catalog::GpuModel;
using catalog::InstanceIndex;
using catalog::Layout;

/// GPUs that a single job is planned on at first.
constexpr std::size_t kSmallPlan = 48;

int free_slices(const GpuModel& model, Layout held) {
  int free = model.memory_slices;
  for (Layout rest = held; rest != 0; rest &= rest - 1)
    free -= model.profile_of(static_cast<InstanceIndex>(std::countr_zero(rest))).memory_slices;
  return free;
}

/// Memory slices of the places that are blocked for profiles which what is free could hold.
int fragmentation(const GpuModel& model, Layout held) {
  const int free = free_slices(model, held);
  const Layout addable = model.layouts.addable(held);
  int blocked = 0;
  for (const auto profile : model.plain_by_size) {
    const int size = model.profiles[profile].memory_slices;
    if (size > free) continue;
    const Layout places = model.layouts.instances_of(profile) & ~held;
    blocked += size * std::popcount(places & ~addable);
  }
  return blocked;
}

/// How good a place is: less is better. GPUs in the same state are alike.
using Rank = int (*)(const GpuModel& model, Layout held, InstanceIndex instance);

int by_nothing(const GpuModel&, Layout, InstanceIndex) {
  return 0;
}
int by_what_is_left(const GpuModel& model, Layout held, InstanceIndex) {
  return free_slices(model, held);
}
int by_fragmentation(const GpuModel& model, Layout held, InstanceIndex instance) {
  return fragmentation(model, held | catalog::bit(instance)) - fragmentation(model, held);
}

/// A baseline: places by rank, then by the GPU's number, then by the place's.
class Greedy final : public ChurnPolicy {
 public:
  Greedy(const GpuModel& model, int gpus, Rank rank)
      : model_(model), rank_(rank), held_(static_cast<std::size_t>(gpus), 0) {
    for (std::size_t i = 0; i < held_.size(); ++i) alike_[0].insert(i);
  }

  bool arrive(Job job) override {
    const Layout wanted = model_.layouts.instances_of(job.profile);
    using Found = std::tuple<int, std::size_t, InstanceIndex>;
    std::optional<Found> best;
    for (const auto& [held, gpus] : alike_) {
      for (Layout rest = model_.layouts.addable(held) & wanted; rest != 0; rest &= rest - 1) {
        const auto instance = static_cast<InstanceIndex>(std::countr_zero(rest));
        const Found found{rank_(model_, held, instance), *gpus.begin(), instance};
        if (!best || found < *best) best = found;
      }
    }
    if (!best) return false;
    const auto [rank, gpu, instance] = *best;
    change(gpu, held_[gpu] | catalog::bit(instance));
    jobs_[job.id] = {gpu, instance};
    return true;
  }

  void leave(JobId job) override {
    const auto [gpu, instance] = jobs_.at(job);
    jobs_.erase(job);
    change(gpu, held_[gpu] & ~catalog::bit(instance));
  }

 private:
  void change(std::size_t gpu, Layout after) {
    auto& before = alike_[held_[gpu]];
    before.erase(gpu);
    if (before.empty()) alike_.erase(held_[gpu]);
    held_[gpu] = after;
    alike_[after].insert(gpu);
  }

  const GpuModel& model_;
  Rank rank_;
  std::vector<Layout> held_;
  std::map<Layout, std::set<std::size_t>> alike_;  ///< GPUs in the same state
  std::map<JobId, std::pair<std::size_t, InstanceIndex>> jobs_;
};

/// Demands of one item each, one per job.
std::vector<planning::Demand> demands_of(catalog::ModelIndex model, const std::vector<Job>& jobs) {
  std::map<std::uint16_t, std::int64_t> counts;
  for (const auto& job : jobs) ++counts[job.profile];
  std::vector<planning::Demand> demands;
  for (const auto& [profile, count] : counts)
    demands.push_back({{{model, profile}}, planning::kUnit, count});
  return demands;
}

class Tessera final : public ChurnPolicy {
 public:
  Tessera(std::shared_ptr<const catalog::Catalog> catalog, catalog::ModelIndex model, int gpus,
          planning::SolverFactory repack_with)
      : catalog_(std::move(catalog)),
        model_(model),
        gpus_(static_cast<std::size_t>(gpus)),
        solver_(std::move(repack_with)),
        fleet_(catalog_, model, gpus) {}

  bool arrive(Job job) override {
    if (fleet_.place(job)) return true;
    if (!solver_ || !fleet_.could_hold(job)) return false;
    if (gpus_ > kSmallPlan && plan(fleet_.problem(kSmallPlan), {job}) == 1) return true;
    return plan(fleet_.problem(), {job}) == 1;
  }

  void leave(JobId job) override { fleet_.end(job); }

  std::size_t arrive_together(const std::vector<Job>& jobs) override {
    return solver_ ? plan(fleet_.problem(), jobs) : ChurnPolicy::arrive_together(jobs);
  }

 private:
  /// Plans for the jobs and carries it out; how many were served.
  std::size_t plan(planning::Problem problem, const std::vector<Job>& jobs) {
    problem.demands = demands_of(model_, jobs);
    const auto plan = planning::make_plan(problem, *catalog_, solver_, Unhurried{});
    if (plan.served == 0) return 0;
    moved_ += static_cast<std::uint64_t>(plan.moved / planning::kUnit);
    forced_restarts_ += static_cast<std::uint64_t>(plan.change.forced_restarts);
    return fleet_.carry_out(problem, plan, jobs).size();
  }

  std::shared_ptr<const catalog::Catalog> catalog_;
  catalog::ModelIndex model_;
  std::size_t gpus_;
  planning::SolverFactory solver_;  ///< empty: nothing is repacked
  MigFleet fleet_;
};

}  // namespace

std::size_t ChurnPolicy::arrive_together(const std::vector<Job>& jobs) {
  std::size_t served = 0;
  for (const auto& job : jobs) served += arrive(job) ? 1 : 0;
  return served;
}

const std::vector<std::string_view>& churn_policies() {
  static const std::vector<std::string_view> kNames = {"first-fit", "best-fit", "min-fragmentation",
                                                       "tessera", "tessera+repack"};
  return kNames;
}

std::unique_ptr<ChurnPolicy> make_churn_policy(std::string_view name,
                                               std::shared_ptr<const catalog::Catalog> catalog,
                                               catalog::ModelIndex model, int gpus,
                                               planning::SolverFactory solver) {
  const auto greedy = [&](Rank rank) {
    return std::make_unique<Greedy>(catalog->model(model), gpus, rank);
  };
  if (name == "first-fit") return greedy(by_nothing);
  if (name == "best-fit") return greedy(by_what_is_left);
  if (name == "min-fragmentation") return greedy(by_fragmentation);
  if (name == "tessera") return std::make_unique<Tessera>(catalog, model, gpus, nullptr);
  CHECK(name == "tessera+repack");
  return std::make_unique<Tessera>(catalog, model, gpus, std::move(solver));
}

}  // namespace tessera::simulation
