#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "catalog/gpu_model.h"
#include "control/plan.h"
#include "control/state.h"
#include "planning/plan.h"

/// From the fleet as it stands to a problem that planning/ solves, and back to a plan for these
/// very GPUs and leases. Between the two the state may go on: a draft owns all that it needs.
namespace tessera::control {

/// Something to be served beside what waits. `profile` alone, or `memory` with or without `sms`.
struct WishedDemand {
  std::string profile;
  base::MiB memory;
  base::Sms sms;
  std::int64_t count = 1;
  std::int64_t value = planning::kUnit;
};

bool serves(const catalog::MigProfile& profile, const WishedDemand& wish);
/// "2g.20gb", or "18GiB, 30 SMs".
std::string to_string(const WishedDemand& wish);

/// Of an expected slice; one that waits, or is wished for, is worth kUnit. So a thousand that may
/// come are not worth one that is needed.
inline constexpr std::int64_t kExpectedValue = planning::kUnit / 1000;
/// Of one tier and size, as of a line of a wish.
inline constexpr std::int64_t kMostExpected = 1'000'000;

/// What to plan for.
struct PlanWish {
  bool waiting = true;  ///< serve the requests that wait
  std::vector<WishedDemand> demands;
  std::int64_t spare = 0;          ///< empty GPUs of each pool used for the time of the change
  std::uint32_t max_parallel = 8;  ///< moves at the same moment; 0: any number
  std::string pool;                ///< only this one; empty: all
  std::optional<ForecastWish> forecast;  ///< also serve what is expected by then
  Instant now{};                         ///< when is asked
};

/// A pool is a model of its own here: a lease moves within its pool, whatever else is of the same
/// make. Left as they are: GPUs that are away, held back by a plan or not divided by MIG. Pinned
/// are slices that are not in use, leases of several slices or with a part of a counted host, those
/// of tiers that are not movable, and those that have not yet run for their tier's least time.
struct Draft {
  explicit Draft(catalog::Catalog made) : catalog(std::move(made)) {}

  catalog::Catalog catalog;  ///< one model per pool
  planning::Problem problem;
  std::uint64_t revision = 0;
  std::uint32_t max_parallel = 0;
  struct Entry {
    GpuIndex gpu;
    fleet::NodeIndex node;
    catalog::Layout layout = 0;
    catalog::Layout leased = 0;
    std::vector<std::uint64_t> held;
  };
  std::vector<Entry> entries;                                ///< what Problem::classes count
  std::vector<planning::GpuState> states;                    ///< of each entry
  std::map<catalog::ModelIndex, std::vector<Entry>> spares;  ///< empty GPUs kept aside, by pool
  std::map<std::pair<GpuIndex, catalog::InstanceIndex>, LeaseId> seats;  ///< of movable leases
  std::vector<std::vector<RequestId>> requests;  ///< by demand: who waits for it, oldest first
  std::vector<std::string> demand_texts;
  /// A request for several slices on one node, which the joint model does not know of.
  struct Several {
    RequestId request;
    int count = 0;
    std::vector<planning::Kind> kinds;         ///< any of these, all of one
    std::vector<fleet::NodeIndex> full_hosts;  ///< without the CPU or memory that it asks for
    std::string text;
    std::vector<Seat> seats;  ///< booked for it by solve_draft(); none: it is not served
  };
  std::vector<Several> several;  ///< oldest first
  std::vector<std::string> notes;
  std::optional<Forecast> forecast;
};

/// Errors: kUnknownObject (pool), kNeverFits (a wish that no GPU here could ever serve),
/// kInvalidQuantity (more than can be counted).
base::Result<Draft> draft_plan(const State& state, const PlanWish& wish);

/// The plan for a draft. Requests for several slices on one node come first, the oldest first: each
/// is booked on the node where that displaces least, if all leases then still have a place and no
/// less is served in all. All else is planned jointly around them, and what is proven is proven for
/// that.
planning::Plan solve_draft(Draft& draft, const planning::SolverFactory& solver,
                           const planning::Patience& patience);

/// The plan for these GPUs that a solution of the draft's problem means: to be put by PutPlan.
Plan finish_plan(const Draft& draft, const planning::Plan& solution, base::Duration solving);

}  // namespace tessera::control
