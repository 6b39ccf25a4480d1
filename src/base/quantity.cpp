#include "base/quantity.h"

#include <array>
#include <charconv>
#include <utility>

namespace tessera::base {
namespace {

/// Wide enough for thousandths of the largest unit; no standard type is.
__extension__ using Wide = __int128;

struct Decimal {
  std::int64_t thousandths = 0;
  std::string_view rest;
};

std::unexpected<Error> bad(std::string_view text, std::string_view problem, std::string todo) {
  return fail(Reason::kInvalidQuantity,
              "\"" + std::string(text.substr(0, 64)) + "\" " + std::string(problem), {},
              std::move(todo));
}

/// A non-negative number with up to three decimals, and what follows it.
Result<Decimal> take_decimal(std::string_view text, const std::string& todo) {
  std::int64_t whole = 0;
  const char* end = text.data() + text.size();
  if (!text.empty() && text.front() == '-') return bad(text, "is negative", todo);
  auto [next, error] = std::from_chars(text.data(), end, whole);
  if (error == std::errc::result_out_of_range) return bad(text, "is too large", todo);
  if (error != std::errc{}) return bad(text, "does not start with a number", todo);
  if (whole > MiB::kLargest) return bad(text, "is too large", todo);
  std::int64_t thousandths = whole * 1000;
  if (next != end && *next == '.') {
    ++next;
    std::int64_t unit = 100;
    const char* first = next;
    for (; next != end && *next >= '0' && *next <= '9'; ++next, unit /= 10) {
      if (unit == 0) return bad(text, "has more than three decimals", todo);
      thousandths += (*next - '0') * unit;
    }
    if (next == first) return bad(text, "has no digit after the point", todo);
  }
  return Decimal{thousandths, std::string_view(next, static_cast<std::size_t>(end - next))};
}

std::string trimmed(std::int64_t thousandths) {
  std::string text = std::to_string(thousandths / 1000);
  if (std::int64_t part = thousandths % 1000; part != 0) {
    std::string digits = std::to_string(1000 + part).substr(1);
    digits.erase(digits.find_last_not_of('0') + 1);
    text += "." + digits;
  }
  return text;
}

}  // namespace

Result<MiB> parse_memory(std::string_view text) {
  static const std::string todo = "write memory as 10GiB, 10GB, 512MiB or 512MB";
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 6> kUnits = {{
      {"MiB", 1LL << 20},
      {"GiB", 1LL << 30},
      {"TiB", 1LL << 40},
      {"MB", 1'000'000},
      {"GB", 1'000'000'000},
      {"TB", 1'000'000'000'000},
  }};
  auto number = take_decimal(text, todo);
  if (!number) return std::unexpected(number.error());
  if (number->rest.empty()) return bad(text, "has no unit", todo);
  for (const auto& [unit, bytes] : kUnits) {
    if (unit != number->rest) continue;
    const Wide scaled = static_cast<Wide>(number->thousandths) * bytes;
    const Wide per_mib = static_cast<Wide>(1000) << 20;
    const Wide mib = (scaled + per_mib - 1) / per_mib;
    if (mib > MiB::kLargest) return bad(text, "is too large", todo);
    return MiB(static_cast<std::int64_t>(mib));
  }
  return bad(text, "has an unknown unit", todo);
}

std::string to_string(MiB memory) {
  constexpr std::int64_t kGiB = 1024;
  if (memory.count() != 0 && memory.count() % kGiB == 0)
    return std::to_string(memory.count() / kGiB) + "GiB";
  return std::to_string(memory.count()) + "MiB";
}

Result<MilliCpu> parse_cpu(std::string_view text) {
  static const std::string todo = "write CPUs as 8, 0.5 or 500m";
  auto number = take_decimal(text, todo);
  if (!number) return std::unexpected(number.error());
  if (number->rest.empty()) return MilliCpu(number->thousandths);
  if (number->rest == "m" && number->thousandths % 1000 == 0)
    return MilliCpu(number->thousandths / 1000);
  return bad(text, "has an unknown unit", todo);
}

std::string to_string(MilliCpu cpu) {
  return trimmed(cpu.count());
}

std::string to_string(GpuFraction fraction) {
  return trimmed((fraction.count() * 1000 + kWholeGpu.count() / 2) / kWholeGpu.count());
}

}  // namespace tessera::base
