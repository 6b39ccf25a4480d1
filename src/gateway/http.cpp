#include "gateway/http.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "wire/problem.h"

namespace tessera::gateway {
namespace {

using base::fail;
using base::Reason;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (lower(c) >= 'a' && lower(c) <= 'f') return lower(c) - 'a' + 10;
  return std::nullopt;
}

/// Decodes %41; in a query "+" is a space.
base::Result<std::string> decode(std::string_view text, bool query) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && query) c = ' ';
    if (c == '%') {
      const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
      const auto low = high ? hex_digit(text[i + 2]) : std::nullopt;
      if (!low)
        return fail(Reason::kInvalidDocument,
                    "a % in the address is not followed by two hex digits", "path",
                    "write a percent sign as %25");
      c = static_cast<char>(*high * 16 + *low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return fail(Reason::kInvalidDocument, "the address contains a control character", "path");
    out += c;
  }
  if (!valid_utf8(out)) return fail(Reason::kInvalidDocument, "the address is not UTF-8", "path");
  return out;
}

/// Calls `each` with the parts of `text` between `separator`s until one fails.
template <class Each>
base::Result<void> split(std::string_view text, char separator, Each each) {
  while (true) {
    const auto end = text.find(separator);
    if (auto done = each(text.substr(0, end)); !done) return done;
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
}

base::Result<void> add_parameter(Target& target, std::string_view text) {
  if (text.empty()) return {};
  const auto equals = text.find('=');
  auto name = decode(text.substr(0, equals), true);
  if (!name) return std::unexpected(name.error());
  auto value = equals == std::string_view::npos ? base::Result<std::string>(std::string())
                                                : decode(text.substr(equals + 1), true);
  if (!value) return std::unexpected(value.error());
  if (target.find(*name) != nullptr)
    return fail(Reason::kInvalidDocument, "the parameter is given twice", *name, "give it once");
  target.query.push_back({std::move(*name), std::move(*value)});
  return {};
}

}  // namespace

const std::string* Headers::find(std::string_view name) const {
  const auto same = [&](const Header& field) {
    return std::ranges::equal(field.name, name, {}, lower, lower);
  };
  const auto found = std::ranges::find_if(fields_, same);
  return found == fields_.end() ? nullptr : &found->value;
}

void Headers::add(std::string name, std::string value) {
  fields_.push_back({std::move(name), std::move(value)});
}

HttpResponse problem(const base::Error& error) {
  return problem(error, wire::http_status(error.reason));
}

HttpResponse problem(const base::Error& error, int status) {
  // Texts may quote the input; what is not UTF-8 in it is replaced rather than trusted.
  std::string body =
      wire::problem_of(error, status).dump(-1, ' ', false, wire::Json::error_handler_t::replace);
  return {status, {{"Content-Type", std::string(wire::kProblemType)}}, std::move(body) + "\n"};
}

const std::string* Target::find(std::string_view parameter) const {
  const auto found = std::ranges::find(query, parameter, &Parameter::name);
  return found == query.end() ? nullptr : &found->value;
}

base::Result<Target> parse_target(std::string_view text) {
  if (!text.starts_with('/'))
    return fail(Reason::kInvalidDocument, "the address is not a path", "path",
                "send a target that starts with /");
  Target target;
  const auto question = text.find('?');
  std::string_view path =
      text.substr(1, question == std::string_view::npos ? question : question - 1);
  if (path.ends_with('/')) path.remove_suffix(1);
  if (!path.empty()) {
    auto done = split(path, '/', [&](std::string_view part) -> base::Result<void> {
      auto segment = decode(part, false);
      if (!segment) return std::unexpected(segment.error());
      if (segment->empty() || *segment == "." || *segment == "..")
        return fail(Reason::kInvalidDocument, "the path has an empty or relative part", "path");
      target.segments.push_back(std::move(*segment));
      return {};
    });
    if (!done) return std::unexpected(done.error());
  }
  if (question != std::string_view::npos) {
    auto done = split(text.substr(question + 1), '&',
                      [&](std::string_view part) { return add_parameter(target, part); });
    if (!done) return std::unexpected(done.error());
  }
  return target;
}

bool valid_utf8(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char lead = at(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || i + length > text.size()) return false;
    // The second byte excludes overlong forms, surrogates and what lies above U+10FFFF.
    const unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at(i + 1) < low || at(i + 1) > high) return false;
    for (std::size_t k = 2; k < length; ++k)
      if ((at(i + k) & 0xc0) != 0x80) return false;
    i += length;
  }
  return true;
}

}  // namespace tessera::gateway
