#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "control/state.h"
#include "planning/plan.h"

namespace tessera::simulation {

/// One who wants or holds one MIG instance.
using JobId = std::uint64_t;
struct Job {
  JobId id = 0;
  std::uint16_t profile = 0;  ///< of the model
};

/// A fleet of one MIG model in nodes of eight, on the production control plane: what is granted is
/// a lease of control::State, and where it goes is decided by placement::place. Each job gets the
/// very profile that it asks for. An instance is removed when its lease ends.
class MigFleet {
 public:
  MigFleet(std::shared_ptr<const catalog::Catalog> catalog, catalog::ModelIndex model, int gpus);

  /// Places a job where production would; false if no GPU has room for it.
  bool place(Job job);
  void end(JobId job);
  /// Does not exceed what is free in all, wherever it is?
  bool could_hold(Job job) const;
  /// The GPUs as planning sees them: everything held may move, each at weight one.
  planning::Problem problem() const;
  /// The same of the `most` GPUs that hold least.
  planning::Problem problem(std::size_t most) const;
  /// Moves leases as planned and grants the jobs that the plan serves, in their order; `problem` is
  /// what the plan was made for, with one demand per profile. The jobs that were served.
  std::vector<JobId> carry_out(const planning::Problem& problem, const planning::Plan& plan,
                               const std::vector<Job>& jobs);

 private:
  struct Place {
    fleet::GpuIndex gpu;
    catalog::InstanceIndex instance = 0;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Held {
    Job job;
    request::RequestId request;
    Place place;
  };

  planning::Problem problem_of(const std::vector<std::size_t>& gpus) const;
  request::Need need_of(std::uint16_t profile) const;
  std::optional<placement::Spot> spot_for(const request::Need& need, std::uint16_t profile);
  placement::Spot spot_at(Place place) const;
  void grant(Held held, const placement::Spot& spot);
  Held take_away(Place place, bool for_good);
  void apply(std::vector<control::Event> events);

  control::State state_;
  catalog::ModelIndex model_;
  int slices_of(std::uint16_t profile) const;

  int free_slices_ = 0;  ///< of memory
  std::map<JobId, Place> jobs_;
  std::vector<std::map<catalog::InstanceIndex, Held>> gpus_;
};

}  // namespace tessera::simulation
