#include "wire/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <numeric>
#include <utility>
#include <vector>

#include "base/quantity.h"

namespace tessera::wire {
namespace {

struct Sequence {
  std::size_t length;
  unsigned char second_least, second_most;  ///< bounds of the second byte
};

/// What a lead byte announces (Unicode, table 3-7); length 0 for a byte that leads nothing.
Sequence announced_by(unsigned char lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

unsigned char byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

bool continues(unsigned char byte) {
  return (byte & 0xC0) == 0x80;
}

char lower(char letter) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0u : 1u)});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                           lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(above, row);
  }
  return above[b.size()];
}

}  // namespace

std::optional<std::size_t> first_not_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Sequence sequence = announced_by(byte_at(text, at));
    if (sequence.length == 0 || sequence.length > text.size() - at) return at;
    for (std::size_t i = 1; i < sequence.length; ++i)
      if (!continues(byte_at(text, at + i))) return at;
    if (sequence.length > 1) {
      const unsigned char second = byte_at(text, at + 1);
      if (second < sequence.second_least || second > sequence.second_most) return at;
    }
    at += sequence.length;
  }
  return std::nullopt;
}

std::optional<std::size_t> first_control(std::string_view text) {
  const auto control = [](char letter) {
    const auto code = static_cast<unsigned char>(letter);
    return (code < 0x20 && letter != '\t' && letter != '\n' && letter != '\r') || code == 0x7F;
  };
  const auto found = std::ranges::find_if(text, control);
  if (found == text.end()) return std::nullopt;
  return static_cast<std::size_t>(found - text.begin());
}

std::string clip(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && continues(byte_at(text, bytes))) --bytes;
  return std::string(text.substr(0, bytes)) + "…";
}

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known) {
  // A hostile word could be a megabyte long, and no typing error lengthens one that much.
  if (word.empty() || word.size() > 64) return std::nullopt;
  std::optional<std::string_view> best;
  std::size_t least = word.size() / 3 + 2;
  for (const std::string_view candidate : known) {
    const std::size_t found = distance(word, candidate);
    if (found >= least || found >= candidate.size()) continue;
    least = found;
    best = candidate;
  }
  return best;
}

std::string join(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

std::optional<std::int64_t> decimal_from(std::string_view text, int decimals) {
  const char* const end = text.data() + text.size();
  std::int64_t value = 0;
  if (text.empty() || text.front() == '-') return std::nullopt;
  auto [next, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || value > base::MiB::kLargest) return std::nullopt;
  int missing = decimals;
  if (next != end) {
    if (*next++ != '.' || next == end) return std::nullopt;
    for (; next != end; ++next, --missing) {
      if (*next < '0' || *next > '9' || missing == 0) return std::nullopt;
      value = value * 10 + (*next - '0');
      if (value > base::MiB::kLargest) return std::nullopt;
    }
  }
  for (; missing > 0; --missing) {
    value *= 10;
    if (value > base::MiB::kLargest) return std::nullopt;
  }
  return value;
}

std::string exact_text(base::Duration duration) {
  using namespace std::chrono_literals;
  constexpr std::array<std::pair<std::string_view, base::Duration>, 5> kUnits = {
      {{"d", 24h}, {"h", 1h}, {"m", 1min}, {"s", 1s}, {"ms", 1ms}}};
  std::string text;
  for (const auto& [name, length] : kUnits) {
    const auto count = duration / length;
    duration %= length;
    if (count != 0) text += std::to_string(count) + std::string(name);
  }
  return text.empty() ? "0s" : text;
}

}  // namespace tessera::wire
