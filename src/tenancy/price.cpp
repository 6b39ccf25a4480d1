#include "tenancy/price.h"

namespace tessera::tenancy {

namespace {
__extension__ using Wide = __int128;  // 10^12 times 10^12 is possible
}

MicroMoney price_per_hour(const fleet::Cost& cost, const Tier& tier) {
  const Wide twice_share = Wide{cost.compute.count()} + cost.memory.count();
  const Wide divisor = Wide{2} * base::kWholeGpu.count();
  const Wide exact = twice_share * tier.price.count();
  return MicroMoney(static_cast<std::int64_t>((2 * exact + divisor) / (2 * divisor)));
}

std::string money_text(MicroMoney money) {
  constexpr std::int64_t kUnit = 1'000'000;
  if (money.count() < 0) return "-" + money_text(MicroMoney(-money.count()));
  std::string decimals = std::to_string(kUnit + money.count() % kUnit).substr(1);
  while (decimals.size() > 2 && decimals.back() == '0') decimals.pop_back();
  return std::to_string(money.count() / kUnit) + "." + decimals;
}

}  // namespace tessera::tenancy
