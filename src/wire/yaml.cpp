#include "wire/yaml.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <utility>

namespace tessera::wire {
namespace {

bool letter_or_digit(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0;
}

/// Words that some version of YAML reads as a truth value or as nothing.
bool reserved(std::string_view text) {
  constexpr std::array<std::string_view, 9> kWords = {"true", "false", "null", "yes", "no",
                                                      "on",   "off",   "y",    "n"};
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::find(kWords, lower) != kWords.end();
}

/// Whether some YAML reader takes `text` for a number or a date: 2, 1e3, 0x1F, 1:30, 2026-11-22.
bool like_number(std::string_view text) {
  if (std::isdigit(static_cast<unsigned char>(text.front())) == 0) return false;
  return text.starts_with("0x") ||
         text.find_first_not_of("0123456789.eEbo_:+-TZ ") == std::string_view::npos;
}

/// Whether `text` means itself without quotes, in every version of YAML. Errs towards quoting.
bool plain(std::string_view text) {
  constexpr std::string_view kInner = "_./@%+=-:, ";
  if (text.empty() || !(letter_or_digit(text.front()) || text.front() == '/')) return false;
  if (text.back() == ' ' || text.back() == ':' || text.find(": ") != text.npos) return false;
  const bool harmless = std::ranges::all_of(text, [&](char letter) {
    return letter_or_digit(letter) || kInner.find(letter) != kInner.npos;
  });
  return harmless && !reserved(text) && !like_number(text);
}

/// A JSON string is a double-quoted YAML scalar, but for characters that YAML takes for line
/// breaks.
std::string quoted(const Json& value) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kBreaks = {
      {{"\xC2\x85", "\\u0085"}, {"\xE2\x80\xA8", "\\u2028"}, {"\xE2\x80\xA9", "\\u2029"}}};
  std::string text = value.dump();
  for (const auto& [raw, escape] : kBreaks)
    for (auto at = text.find(raw); at != text.npos; at = text.find(raw, at + escape.size()))
      text.replace(at, raw.size(), escape);
  return text;
}

std::string scalar(const Json& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  return plain(text) ? text : quoted(value);
}

bool nested(const Json& value) {
  return value.is_structured() && !value.empty();
}

void write(const Json& value, std::size_t indent, std::string& out);

/// `key: value`, the value on its own lines where it is nested.
void write_member(const Json& key, const Json& value, std::size_t indent, std::string& out) {
  out += scalar(key) + ":";
  if (!nested(value)) {
    out += " " + scalar(value) + "\n";
    return;
  }
  out += "\n";
  // As people write it: a list under a key starts in the key's own column.
  write(value, value.is_array() ? indent : indent + 2, out);
}

void write(const Json& value, std::size_t indent, std::string& out) {
  const std::string margin(indent, ' ');
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) {
      out += margin;
      write_member(Json(key), member, indent, out);
    }
    return;
  }
  for (const Json& item : value) {
    out += margin + "- ";
    if (!nested(item)) {
      out += scalar(item) + "\n";
      continue;
    }
    // The item's first line continues the dash's line.
    std::string lines;
    write(item, indent + 2, lines);
    out += lines.substr(indent + 2);
  }
}

}  // namespace

std::string to_yaml(const Json& json) {
  if (!nested(json)) return scalar(json) + "\n";
  std::string out;
  write(json, 0, out);
  return out;
}

std::string to_yaml_documents(const std::vector<Json>& documents) {
  std::string out;
  for (const Json& document : documents) out += "---\n" + to_yaml(document);
  return out;
}

}  // namespace tessera::wire
