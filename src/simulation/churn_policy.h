#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "planning/solver.h"
#include "simulation/mig_fleet.h"

namespace tessera::simulation {

/// Who decides where MIG instances go, with the fleet that it decides for.
class ChurnPolicy {
 public:
  virtual ~ChurnPolicy() = default;
  /// False: it found no room.
  virtual bool arrive(Job job) = 0;
  virtual void leave(JobId job) = 0;
  /// Many at once; how many of them found room. They stay for good.
  virtual std::size_t arrive_together(const std::vector<Job>& jobs);

  std::uint64_t moved() const { return moved_; }
  std::uint64_t forced_restarts() const { return forced_restarts_; }

 protected:
  std::uint64_t moved_ = 0;
  std::uint64_t forced_restarts_ = 0;
};

/// "first-fit", "best-fit", "min-fragmentation", "tessera", "tessera+repack".
const std::vector<std::string_view>& churn_policies();

/// The first three are baselines and live here alone:
///   first-fit          the first GPU with room, there the first place
///   best-fit           the GPU with least left free, there the first place
///   min-fragmentation  where fragmentation grows least: the memory slices of all places that are
///                      blocked for profiles that would fit into what is free (arXiv 2511.18906)
/// `tessera` is the production placement (placement::place). With repacking, a job that finds no
/// room is planned for (planning::make_plan): first among the GPUs that hold least, then jointly on
/// all; the plan with the fewest moves is carried out.
std::unique_ptr<ChurnPolicy> make_churn_policy(std::string_view name,
                                               std::shared_ptr<const catalog::Catalog> catalog,
                                               catalog::ModelIndex model, int gpus,
                                               planning::SolverFactory solver);

}  // namespace tessera::simulation
