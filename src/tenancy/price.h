#pragma once

#include <string>

#include "fleet/slice.h"
#include "tenancy/tier.h"

/// Money: integer millionths of the operator's currency unit, rounded once.
namespace tessera::tenancy {

using base::MicroMoney;

/// What slices that take `cost` of their GPUs are charged per hour: the mean of their compute and
/// memory shares times the tier's price of a whole GPU, to the nearest millionth (halves up).
MicroMoney price_per_hour(const fleet::Cost& cost, const Tier& tier);

/// Exact, with two to six decimals: "2.80", "0.375", "0.133929".
std::string money_text(MicroMoney money);

}  // namespace tessera::tenancy
