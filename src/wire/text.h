#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/time.h"

/// Small questions about text, for the parsers and decoders of this room.
namespace tessera::wire {

/// Where `text` stops being UTF-8 (overlong forms, surrogates and values above U+10FFFF included).
std::optional<std::size_t> first_not_utf8(std::string_view text);

/// Where `text` has a control character other than tab, line feed and carriage return.
std::optional<std::size_t> first_control(std::string_view text);

/// The beginning of a UTF-8 text, at most `bytes` long, with "…" where something was cut.
std::string clip(std::string_view text, std::size_t bytes = 64);

/// The word of `known` that a person most likely meant by `word`, if any is near.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known);

/// "a, b, c".
std::string join(std::span<const std::string_view> words);

/// Reads "3", "3.5" … with at most `decimals` digits after the point and no sign, as a count of
/// 10^-decimals. Absent when it is anything else or more than 10^12 such units.
std::optional<std::int64_t> decimal_from(std::string_view text, int decimals);

/// All units that are not zero, so that parse_duration gives the same again: "1d2h30m".
std::string exact_text(base::Duration duration);

}  // namespace tessera::wire
