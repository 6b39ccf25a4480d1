#include "device/simulated/synthetic.h"

#include <algorithm>

namespace tessera::device::simulated {
namespace {

/// A number in -range … range that is fixed for (seed, pid, step).
std::int64_t noise(std::uint64_t seed, std::uint32_t pid, std::int64_t step, std::int64_t range) {
  base::SeededRandom random(seed ^ (std::uint64_t{pid} << 32) ^ static_cast<std::uint64_t>(step));
  return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * range + 1))) - range;
}

}  // namespace

std::string new_uuid(std::string_view prefix, base::Random& random) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text(prefix);
  std::uint64_t bits = 0;
  for (std::size_t digit = 0; digit < 32; ++digit) {
    if (digit % 16 == 0) bits = random.next();
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) text += '-';
    auto nibble = static_cast<std::size_t>(bits & 0xF);
    bits >>= 4;
    if (digit == 12) nibble = 4;                    // version
    if (digit == 16) nibble = 8 | (nibble & 0b11);  // variant
    text += kHex[nibble];
  }
  return text;
}

int synthetic_load(std::uint64_t seed, std::uint32_t pid, int load_permille, base::Instant at) {
  constexpr std::int64_t kWave = 180;  // seconds between two turning points
  const auto second =
      std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count();
  const std::int64_t wave = second / kWave;
  const std::int64_t from = noise(seed, pid, wave, 250);
  const std::int64_t to = noise(seed, pid, wave + 1, 250);
  const std::int64_t slow = from + (to - from) * (second % kWave) / kWave;
  const std::int64_t quick = noise(~seed, pid, second, 40);
  return static_cast<int>(std::clamp<std::int64_t>(load_permille + slow + quick, 0, 1000));
}

}  // namespace tessera::device::simulated
