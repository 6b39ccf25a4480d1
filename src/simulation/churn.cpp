#include "simulation/churn.h"

#include <algorithm>
#include <map>
#include <queue>

#include "base/check.h"
#include "base/random.h"
#include "planning/optimise.h"
#include "simulation/unhurried.h"

namespace tessera::simulation {
namespace {

using catalog::GpuModel;
using catalog::ModelIndex;

constexpr std::uint64_t kTicksPerArrival = 8;
constexpr std::int64_t kArrivalsPerGpu = 16;
constexpr std::int64_t kFewestArrivals = 4000;
/// What keeping a running job is worth to the joint model, in new ones. Any number gives a bound.
constexpr std::int64_t kKeeping = 16;

using Counts = std::map<std::uint16_t, std::int64_t>;

/// Draws profiles by their weights.
class Mix {
 public:
  explicit Mix(const GpuModel& model) {
    for (const auto& [name, weight] : kChurnMix) {
      const auto profile = model.find_profile(name);
      CHECK_MSG(profile.has_value(), std::string(name));
      const int size = model.profiles[*profile].memory_slices;
      for (int i = 0; i < weight; ++i) tickets_.push_back(static_cast<std::uint16_t>(*profile));
      sum_ += size * weight;
    }
  }
  std::uint16_t draw(base::Random& random) const { return tickets_[random.below(tickets_.size())]; }
  /// Memory slices that a hundred jobs ask for.
  std::int64_t slices_of_a_hundred() const { return sum_; }

 private:
  std::vector<std::uint16_t> tickets_;
  std::int64_t sum_ = 0;
};

struct Arrival {
  Job job;
  std::int64_t at = 0;
  std::int64_t leaves = 0;
};

/// What can be held at once on an empty fleet, whatever is where.
struct Joint {
  bool all_fit = false;
  std::int64_t bound = 0;  ///< of the value
};
Joint hold(const catalog::Catalog& catalog, ModelIndex model, int gpus, const Counts& running,
           const Counts& fresh, const planning::SolverFactory& solver) {
  planning::Problem problem;
  const std::vector<planning::GpuState> empty{{.model = model}};
  const std::vector<std::int64_t> count{gpus};
  problem.classes = planning::merge(empty, count);
  std::int64_t all = 0;
  const auto add = [&](const Counts& counts, std::int64_t value) {
    for (const auto& [profile, number] : counts) {
      if (number == 0) continue;
      problem.demands.push_back({{{model, profile}}, value * planning::kUnit, number});
      all += value * number;
    }
  };
  add(running, kKeeping);
  add(fresh, 1);
  const auto built = planning::build_model(problem, catalog);
  const auto best = planning::optimise(problem, built, catalog, solver, Unhurried{});
  const auto unit = built.value_unit;
  return {best.score.served * unit == all * planning::kUnit,
          best.bound.served * unit / planning::kUnit};
}

class Churn {
 public:
  Churn(const ChurnOptions& options, std::shared_ptr<const catalog::Catalog> catalog,
        ModelIndex model, std::unique_ptr<ChurnPolicy> policy)
      : options_(options),
        catalog_(std::move(catalog)),
        model_(model),
        policy_(std::move(policy)),
        mix_(catalog_->model(model)),
        random_(options.seed) {}

  ChurnResult run() {
    const auto all = arrivals();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i == all.size() / 2) begin_measuring();
      arrive(all[i]);
    }
    result_.moved = policy_->moved() - moved_before_;
    result_.forced_restarts = policy_->forced_restarts() - restarts_before_;
    result_.mean_load = load_sum_ / static_cast<double>(result_.arrived);
    burst();
    return result_;
  }

 private:
  std::int64_t slices() const {
    return std::int64_t{options_.gpus} * catalog_->model(model_).memory_slices;
  }
  std::int64_t size_of(std::uint16_t profile) const {
    return catalog_->model(model_).profiles[profile].memory_slices;
  }

  std::vector<Arrival> arrivals() {
    const auto number = options_.arrivals > 0
                            ? options_.arrivals
                            : std::max(kFewestArrivals, kArrivalsPerGpu * options_.gpus);
    // Mean lifetime, in ticks: jobs at once times ticks between arrivals.
    const auto life =
        std::max<std::int64_t>(1, slices() * options_.load_percent *
                                      std::int64_t{kTicksPerArrival} / mix_.slices_of_a_hundred());
    std::vector<Arrival> all;
    for (std::int64_t tick = 0; std::ssize(all) < number; ++tick) {
      if (!random_.chance(1, kTicksPerArrival)) continue;
      const auto lasts = 1 + random_.below(static_cast<std::uint64_t>(2 * life - 1));
      all.push_back(
          {{next_job_++, mix_.draw(random_)}, tick, tick + static_cast<std::int64_t>(lasts)});
    }
    return all;
  }

  void begin_measuring() {
    measuring_ = true;
    moved_before_ = policy_->moved();
    restarts_before_ = policy_->forced_restarts();
  }

  void arrive(const Arrival& arrival) {
    for (; !leaving_.empty() && leaving_.top().first <= arrival.at; leaving_.pop()) {
      const auto job = leaving_.top().second;
      policy_->leave(job);
      --running_[profiles_.at(job)];
      held_ -= size_of(profiles_.at(job));
      profiles_.erase(job);
    }
    const auto accepted = policy_->arrive(arrival.job);
    if (measuring_) note(arrival.job, accepted);
    if (!accepted) return;
    leaving_.emplace(arrival.leaves, arrival.job.id);
    profiles_[arrival.job.id] = arrival.job.profile;
    ++running_[arrival.job.profile];
    held_ += size_of(arrival.job.profile);
  }

  void note(Job job, bool accepted) {
    ++result_.arrived;
    load_sum_ += 100 * static_cast<double>(held_) / static_cast<double>(slices());
    if (accepted) {
      ++result_.accepted;
      return;
    }
    if (held_ + size_of(job.profile) > slices()) return;  // nobody could
    const auto joint =
        hold(*catalog_, model_, options_.gpus, running_, {{job.profile, 1}}, options_.solver);
    if (joint.all_fit)
      ++result_.avoidable;
    else if (joint.bound > kKeeping * std::ssize(profiles_))
      ++result_.undecided;
  }

  void burst() {
    const auto wanted = (slices() - held_) * kBurstPercent / 100;
    std::vector<Job> jobs;
    Counts counts;
    for (std::int64_t asked = 0; asked < wanted;) {
      jobs.push_back({next_job_++, mix_.draw(random_)});
      ++counts[jobs.back().profile];
      asked += size_of(jobs.back().profile);
    }
    const auto joint = hold(*catalog_, model_, options_.gpus, running_, counts, options_.solver);
    const auto running = std::ssize(profiles_);
    result_.burst = jobs.size();
    result_.burst_running = static_cast<std::uint64_t>(running);
    result_.burst_possible =
        static_cast<std::uint64_t>(std::min(std::ssize(jobs), joint.bound - kKeeping * running));
    const auto moved = policy_->moved();
    result_.burst_accepted = policy_->arrive_together(jobs);
    result_.burst_moved = policy_->moved() - moved;
  }

  using Leaving = std::pair<std::int64_t, JobId>;

  const ChurnOptions& options_;
  std::shared_ptr<const catalog::Catalog> catalog_;
  ModelIndex model_;
  std::unique_ptr<ChurnPolicy> policy_;
  Mix mix_;
  base::SeededRandom random_;
  ChurnResult result_;
  std::priority_queue<Leaving, std::vector<Leaving>, std::greater<>> leaving_;
  std::map<JobId, std::uint16_t> profiles_;  ///< of those that run
  Counts running_;
  std::int64_t held_ = 0;
  JobId next_job_ = 1;
  bool measuring_ = false;
  double load_sum_ = 0;
  std::uint64_t moved_before_ = 0, restarts_before_ = 0;
};

}  // namespace

base::Result<ChurnResult> churn(const ChurnOptions& options, std::string_view policy,
                                std::shared_ptr<const catalog::Catalog> catalog) {
  const auto& known = churn_policies();
  if (std::ranges::find(known, policy) == known.end()) {
    std::string all;
    for (const auto name : known) all += (all.empty() ? "" : ", ") + std::string(name);
    return base::fail(base::Reason::kInvalidDocument,
                      "there is no policy \"" + std::string(policy) + "\"", "--policy",
                      "choose one of " + all);
  }
  const auto model = catalog->find(kChurnModel);
  CHECK(model.has_value());
  auto made = make_churn_policy(policy, catalog, *model, options.gpus, options.solver);
  auto result = Churn(options, std::move(catalog), *model, std::move(made)).run();
  result.policy = policy;
  return result;
}

}  // namespace tessera::simulation
