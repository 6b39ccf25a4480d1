#include "wire/parse.h"

#include <algorithm>

#include "wire/parse_text.h"
#include "wire/text.h"
#include "wire/tree_builder.h"

namespace tessera::wire {
namespace {

int line_of(std::string_view text, std::size_t at) {
  return static_cast<int>(std::ranges::count(text.substr(0, at), '\n')) + 1;
}

}  // namespace

base::Result<std::string_view> checked_text(std::string_view text, const std::string& source,
                                            Limits limits) {
  using base::Reason;
  if (text.size() > limits.bytes)
    return base::fail(Reason::kTooLarge,
                      "the text has " + std::to_string(text.size()) + " bytes, more than " +
                          std::to_string(limits.bytes),
                      source, "split it into several");
  if (const auto at = first_not_utf8(text))
    return base::fail(Reason::kInvalidDocument,
                      "byte " + std::to_string(*at) + " is not valid UTF-8",
                      place_of(source, line_of(text, *at)), "save the text as UTF-8");
  if (const auto at = first_control(text))
    return base::fail(Reason::kInvalidDocument,
                      "byte " + std::to_string(*at) + " is a control character",
                      place_of(source, line_of(text, *at)), "remove it");
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

base::Result<std::vector<Value>> parse(std::string_view text, const std::string& source,
                                       Limits limits) {
  const auto first = text.find_first_not_of(" \t\r\n");
  const bool json = first != text.npos && (text[first] == '{' || text[first] == '[');
  if (!json) return parse_yaml(text, source, limits);
  auto value = parse_json(text, source, limits);
  if (!value) {
    // YAML has such braces too, with keys that need no quotes.
    auto as_yaml = parse_yaml(text, source, limits);
    if (as_yaml) return as_yaml;
    return std::unexpected(std::move(value.error()));
  }
  std::vector<Value> values;
  values.push_back(std::move(*value));
  return values;
}

}  // namespace tessera::wire
