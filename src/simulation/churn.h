#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "planning/solver.h"
#include "simulation/churn_policy.h"

namespace tessera::simulation {

/// The MIG churn benchmark: jobs that ask for one instance each come to a fleet of H100s, stay for
/// a while and leave; one that finds no room is lost.
///
/// Arrivals: in each tick of time with a chance of one in eight. Lifetimes: uniform, so long on
/// average that what is asked for at once is `load_percent` of the fleet's memory slices. Profiles:
/// kChurnMix. All of it is drawn before anybody decides, so every policy meets the same jobs. The
/// first half of the arrivals only fills the fleet; the second half is measured. Then the burst:
/// jobs that ask for kBurstPercent of the free memory slices, all at once.
///
/// Every refusal is held against the joint model (what could be served if everything held could be
/// rearranged, with a proof, planning/certificate.h). `avoidable` counts those where all that ran
/// and the job too could have been held together, `undecided` those where it could prove neither;
/// as a part of the arrivals they are the certified gap: no policy with the same jobs running could
/// have avoided the other refusals.
struct ChurnOptions {
  int gpus = 64;
  int load_percent = 88;
  std::uint64_t seed = 1;
  std::int64_t arrivals = 0;  ///< 0: sixteen per GPU, at least 4,000
  planning::SolverFactory solver;
};

inline constexpr int kBurstPercent = 95;
inline constexpr std::string_view kChurnModel = "H100-80GB-SXM5";
struct MixedProfile {
  std::string_view profile;
  int weight = 0;  ///< percent of the jobs
};
inline constexpr MixedProfile kChurnMix[] = {{"1g.10gb", 30}, {"1g.20gb", 10}, {"2g.20gb", 25},
                                             {"3g.40gb", 20}, {"4g.40gb", 10}, {"7g.80gb", 5}};

struct ChurnResult {
  std::string policy;
  std::uint64_t arrived = 0;   ///< in the second half
  std::uint64_t accepted = 0;  ///< of those
  std::uint64_t moved = 0;     ///< leases, for those
  std::uint64_t forced_restarts = 0;
  std::uint64_t avoidable = 0;  ///< refusals that the joint model would not have made
  std::uint64_t undecided = 0;  ///< refusals where it could prove neither
  double mean_load = 0;         ///< percent of memory slices held, over the second half
  std::uint64_t burst = 0;      ///< jobs asked for at once
  std::uint64_t burst_accepted = 0;
  std::uint64_t burst_possible = 0;  ///< proven: no layout serves more beside what runs
  std::uint64_t burst_moved = 0;
  std::uint64_t burst_running = 0;  ///< leases before it
};

/// Deterministic. Errors: an unknown policy.
base::Result<ChurnResult> churn(const ChurnOptions& options, std::string_view policy,
                                std::shared_ptr<const catalog::Catalog> catalog);

}  // namespace tessera::simulation
