#include "planning/service_level.h"

#include "base/check.h"

namespace tessera::planning {
namespace {

/// B(n) from B(n - 1). Every term is positive and none cancels, so it is stable for any load.
double one_more(double blocked, double load, std::int64_t slots) {
  return load * blocked / (static_cast<double>(slots) + load * blocked);
}

}  // namespace

double Arrivals::load() const {
  constexpr double kHour = 3'600'000;  // milliseconds
  return static_cast<double>(per_hour) / 1000 * static_cast<double>(mean.count()) / kHour;
}

double blocked(double load, std::int64_t slots) {
  double part = 1;
  for (std::int64_t n = 1; n <= slots; ++n) part = one_more(part, load, n);
  return part;
}

std::optional<std::int64_t> slots_for(const Arrivals& arrivals, std::int64_t level) {
  CHECK(level >= 0 && level < kEveryArrival);
  const double load = arrivals.load();
  if (load > kGreatestLoad) return std::nullopt;
  // The levels are whole millionths: what differs by less than a thousandth of one is rounding.
  const double most =
      (static_cast<double>(kEveryArrival - level) + 1e-3) / static_cast<double>(kEveryArrival);
  double part = 1;
  std::int64_t slots = 0;
  while (part > most) {
    ++slots;
    part = one_more(part, load, slots);
  }
  return slots;
}

}  // namespace tessera::planning
