#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "wire/json.h"

/// What the API says, in the words of a person: pure functions of text and JSON, no input or
/// output. Programs read -o json instead.
namespace tessera::app {

/// A value at "status.tier", or `otherwise` where it is absent, null or empty.
std::string text_at(const wire::Json& object, std::string_view path,
                    std::string_view otherwise = "");

/// Memory as it was most likely asked for: the server keeps 10 GB as 9537MiB, so a whole number of
/// decimal gigabytes is shown as such. "9537MiB" -> "10GB"; other text stays as it is.
std::string memory_words(std::string_view text);

/// A price with two or three decimals: "0.087557" -> "0.088", "2.8" -> "2.80".
std::string money_words(std::string_view text);

/// How good a plan, or its status, is known to be, in a sentence.
std::string proof_words(const wire::Json& plan);

/// How long ago, to the largest unit: "5m", "3h", "2d"; "-" for no instant.
std::string age_of(std::string_view instant, base::Instant now);
/// How long until then, to the two largest units and the minute: "7h59m", "30d"; "0m" once it has
/// passed, "-" for no instant.
std::string time_until(std::string_view instant, base::Instant now);
/// "10:05 UTC" today, "24 Nov 10:05 UTC" on another day; other text stays as it is.
std::string moment_words(std::string_view instant, base::Instant now);

/// What a request asks for: "2 x 10GB partition".
std::string want_words(const wire::Json& request);
/// Slices and where they are: "1g.10gb on node-1/0", "8 x whole on node-2", "16 x whole on node-1,
/// node-2"; "-" for none. All slices of a lease are of one kind.
std::string slices_words(const wire::Json& slices);
/// The kind alone: "8 x whole".
std::string profiles_words(const wire::Json& slices);
/// The place alone: "node-1/0", or the node where there are several.
std::string place_words(const wire::Json& slices);

/// A team once for each pool it has a quota or uses something of, with what `get teams` shows of it
/// as "quota": {pool, used, guaranteed, borrowed, limit, weight}, in GPUs, the larger of compute
/// and memory. A team with neither comes once, without one.
std::vector<wire::Json> team_rows(const wire::Json& team);

/// Is it over with this request or lease? Then it neither expires nor waits.
bool has_ended(std::string_view state);

/// What a request has come to, in a sentence or two without a full stop: where it is, at what
/// price and until when, or why it waits.
std::string request_words(const wire::Json& request, base::Instant now);

/// A GPU's memory as one character per part: '#' held, '=' idle, '.' free, '/' not allocatable.
std::string memory_bar(const wire::Json& gpu);
/// The legend of memory_bar().
inline constexpr std::string_view kMemoryBarKey = "# held  = idle  . free  / not allocatable";

/// Characters that are seen: UTF-8 sequences count once, terminal colours not at all.
std::size_t seen_width(std::string_view text);

/// `text` in lines of at most `width` characters, broken at spaces; lines after the first begin
/// with `indent` spaces. A width of 0 never breaks.
std::string wrapped(std::string_view text, std::size_t width, std::size_t indent = 0);

}  // namespace tessera::app
