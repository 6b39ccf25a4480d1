#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tessera::base {

/// An integer with a unit. Quantities of different units do not mix.
/// Range: inputs are bounded when parsed (kLargest), so sums over any fleet fit in 64 bits.
template <class Tag>
class Quantity {
 public:
  using Rep = std::int64_t;
  static constexpr Rep kLargest = 1'000'000'000'000;  // 10^12 of any unit

  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep count) : count_(count) {}
  constexpr Rep count() const { return count_; }

  friend constexpr auto operator<=>(Quantity, Quantity) = default;
  constexpr Quantity& operator+=(Quantity other) { return count_ += other.count_, *this; }
  constexpr Quantity& operator-=(Quantity other) { return count_ -= other.count_, *this; }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return a += b; }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return a -= b; }
  friend constexpr Quantity operator*(Quantity a, Rep n) { return Quantity(a.count_ * n); }
  friend constexpr Quantity operator*(Rep n, Quantity a) { return a * n; }

 private:
  Rep count_ = 0;
};

using MiB = Quantity<struct MiBTag>;                ///< memory, 2^20 bytes
using Sms = Quantity<struct SmsTag>;                ///< streaming multiprocessors
using MilliShare = Quantity<struct MilliShareTag>;  ///< thousandths of one GPU's compute time
using MilliCpu = Quantity<struct MilliCpuTag>;      ///< thousandths of a host CPU
using MicroMoney = Quantity<struct MicroMoneyTag>;  ///< millionths of the operator's currency unit

/// A part of one GPU, in units of 1/21000: exact for sevenths, eighths, twelfths and thousandths,
/// so that seven 1g slices make exactly one GPU of compute and never 1.001.
using GpuFraction = Quantity<struct GpuFractionTag>;
inline constexpr GpuFraction kWholeGpu{21'000};

/// `part / whole` of a GPU, rounded up so that the sum of parts never understates use.
constexpr GpuFraction fraction_of(std::int64_t part, std::int64_t whole) {
  return GpuFraction((part * kWholeGpu.count() + whole - 1) / whole);
}

/// Parses "10GB", "10GiB", "512MiB", "9984MiB". Decimal units are converted to MiB, rounded up:
/// a need of 10 GB is 9537 MiB. A number without a unit is refused: GB and GiB differ by 7 %.
/// Errors: kInvalidQuantity for a sign, an unknown unit, a missing number or more than kLargest.
Result<MiB> parse_memory(std::string_view text);

/// Shortest exact form: "40GiB" where whole, else "9984MiB".
std::string to_string(MiB memory);

/// Parses "500m" (thousandths) or "0.5" / "2" with at most three decimals. Errors as above.
Result<MilliCpu> parse_cpu(std::string_view text);
std::string to_string(MilliCpu cpu);

/// A count of whole GPUs with at most three decimals, e.g. "3.500" -> "3.5".
std::string to_string(GpuFraction fraction);

}  // namespace tessera::base
