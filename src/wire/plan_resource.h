#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "base/week.h"
#include "control/plan_draft.h"
#include "wire/json.h"
#include "wire/parse.h"

/// Plans of the control plane, as /v1/plans shows and takes them (docs/planning.md).
namespace tessera::wire {

/// What POST /v1/plans asks for.
struct PlanOrder {
  control::PlanWish wish;
  base::Duration time_limit = std::chrono::seconds(10);
};

/// The longest that one plan may be thought about.
inline constexpr base::Duration kLongestPlanning = std::chrono::seconds(60);

/// {"demand","waiting","forecast","spareGpus","maxParallel","timeLimit","pool"}, all optional; an
/// empty body stands for {}.
base::Result<PlanOrder> decode_plan_order(std::string_view json, Limits limits = {});

/// What POST /v1/plans/NAME/apply asks for.
struct PlanApplication {
  std::optional<base::WeekWindow> window;  ///< without it, at once
  bool allow_restarts = false;
};
/// {"window":"Sat 02:00-06:00","allowRestarts":false}, both optional.
base::Result<PlanApplication> decode_plan_application(std::string_view json, Limits limits = {});

/// A plan that is stored, or (with no id yet) one that was only computed.
Json plan_resource(const control::State& state, const control::Plan& plan);

/// "plan-3"; "" for none.
std::string name_of(control::PlanId id);
std::optional<control::PlanId> plan_id_from(std::string_view name);

}  // namespace tessera::wire
