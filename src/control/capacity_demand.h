#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/quantity.h"
#include "catalog/gpu_model.h"
#include "catalog/technology.h"
#include "planning/problem.h"
#include "planning/service_level.h"

/// What a capacity question asks: how many slots of which tier, and what GPUs and licences cost.
/// Plain values, read from a CapacityDemand document (wire/capacity_demand.h).
namespace tessera::control {

using base::MicroMoney;
using catalog::Technology;

/// Slots that are asked for alike.
struct DemandLine {
  std::string tier;
  std::string profile;  ///< exactly this MIG profile; else by memory and SMs
  base::MiB memory;
  base::Sms sms;                                ///< 0: any
  std::optional<catalog::Isolation> isolation;  ///< the least accepted; absent: the tier's
  std::int64_t count = 1;                       ///< at once, where there are no arrivals
  std::optional<planning::Arrivals> arrivals;
  std::int64_t level = 990'000;          ///< of arrivals that are served at once, in millionths
  std::int64_t value = planning::kUnit;  ///< of one slot, in millionths
  std::string where;                     ///< in the document, for errors
};

/// A GPU that could be bought. At most one of the prices is given.
struct GpuOption {
  catalog::ModelIndex model;
  std::optional<MicroMoney> per_hour;
  std::optional<MicroMoney> purchase;
};

/// What dividing costs, in money and in work.
struct TechniqueTerms {
  std::int64_t vgpu_overhead = 100;  ///< thousandths of the work that a vGPU loses
  MicroMoney licence_per_gpu;        ///< and year, of each GPU that is divided into vGPUs
  MicroMoney licence_per_user;       ///< and year, of each vGPU
  std::map<std::string, int, std::less<>> oversubscription;  ///< by tier, instead of its own
  /// The isolation classes that a technique may serve; absent: all that it keeps.
  std::map<Technology, std::vector<catalog::Isolation>> serves;
};

struct CapacityDemand {
  std::vector<DemandLine> lines;
  std::vector<GpuOption> gpus;  ///< empty: the models of the fleet, without prices
  std::int64_t years = 3;       ///< over which a purchase is spread
  TechniqueTerms terms;
};

/// Costs are counted in hundredths of the operator's currency unit per year.
using Cents = std::int64_t;
Cents in_cents(MicroMoney money);
std::optional<Cents> yearly_cost(const GpuOption& option, std::int64_t years);

/// The strongest isolation that a technique gives.
catalog::Isolation kept_by(Technology technology);

}  // namespace tessera::control
