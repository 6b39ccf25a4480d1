#include "wire/decoder.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "wire/document.h"
#include "wire/tree_builder.h"

namespace tessera::wire {

Path member_path(const Path& parent, std::string_view key) {
  return parent.empty() ? std::string(key) : parent + "." + std::string(key);
}

Path item_path(const Path& parent, std::size_t index) {
  return parent + "[" + std::to_string(index) + "]";
}

void Decoder::refuse(int line, const Path& path, std::string what, std::string todo,
                     base::Reason reason) {
  if (error_) return;
  std::string where = path;
  if (!source_.empty()) where = place_of(source_, line) + (path.empty() ? "" : " " + path);
  error_ = base::Error{reason, std::move(what), std::move(where), std::move(todo)};
}

void Decoder::refuse(int line, const Path& path, const base::Error& error) {
  refuse(line, path, error.what, error.todo, error.reason);
}

bool Decoder::expect(const Value& value, const Path& path, ValueKind kind) {
  if (!ok()) return false;
  if (value.kind == kind) return true;
  const bool unquoted = kind == ValueKind::kText && !value.text.empty();
  refuse(
      value.line, path,
      "this is " + std::string(describe(value.kind)) + ", expected " + std::string(describe(kind)),
      unquoted ? "put it in quotes: \"" + clip(value.text) + "\""
               : "write " + std::string(describe(kind)) + " here");
  return false;
}

void Decoder::text(const Value& value, const Path& path, std::string& out) {
  constexpr std::size_t kLongest = 4096;
  if (!expect(value, path, ValueKind::kText)) return;
  if (value.text.size() > kLongest)
    return refuse(value.line, path, "this text is longer than 4096 bytes", "shorten it",
                  base::Reason::kTooLarge);
  out = value.text;
}

void Decoder::name(const Value& value, const Path& path, std::string& out) {
  if (!expect(value, path, ValueKind::kText)) return;
  if (!valid_name(value.text))
    return refuse(value.line, path, "\"" + clip(value.text) + "\" is not a name",
                  "use lower-case letters, digits, \"-\" and \".\", beginning and ending with a "
                  "letter or digit, at most 63");
  out = value.text;
}

void Decoder::flag(const Value& value, const Path& path, bool& out) {
  if (expect(value, path, ValueKind::kBool)) out = value.text == "true";
}

void Decoder::whole(const Value& value, const Path& path, std::int64_t least, std::int64_t most,
                    std::int64_t& out) {
  if (!expect(value, path, ValueKind::kNumber)) return;
  std::int64_t read = 0;
  const char* const end = value.text.data() + value.text.size();
  const auto [next, error] = std::from_chars(value.text.data(), end, read);
  if (error == std::errc{} && next == end && read >= least && read <= most) {
    out = read;
    return;
  }
  refuse(value.line, path, clip(value.text) + " is out of range",
         "write a whole number from " + std::to_string(least) + " to " + std::to_string(most),
         base::Reason::kInvalidQuantity);
}

void Decoder::decimal(const Value& value, const Path& path, int decimals, std::int64_t most,
                      std::int64_t& out) {
  if (!ok()) return;
  if (value.kind != ValueKind::kText && !expect(value, path, ValueKind::kNumber)) return;
  const auto read = decimal_from(value.text, decimals);
  if (read && *read <= most) {
    out = *read;
    return;
  }
  std::int64_t unit = 1;
  for (int i = 0; i < decimals; ++i) unit *= 10;
  refuse(value.line, path,
         "\"" + clip(value.text) + "\" is not a number from 0 to " + std::to_string(most / unit),
         "write digits with at most " + std::to_string(decimals) +
             (decimals == 1 ? " decimal" : " decimals") + " and no sign",
         base::Reason::kInvalidQuantity);
}

template <class T, class Parse>
void Decoder::quantity(const Value& value, const Path& path, T& out, Parse parse) {
  if (!ok()) return;
  if (value.kind != ValueKind::kNumber && !expect(value, path, ValueKind::kText)) return;
  const base::Result<T> read = parse(std::string_view(value.text));
  if (!read) return refuse(value.line, path, read.error());
  out = *read;
}

void Decoder::memory(const Value& value, const Path& path, base::MiB& out) {
  quantity(value, path, out, base::parse_memory);
}

void Decoder::cpu(const Value& value, const Path& path, base::MilliCpu& out) {
  quantity(value, path, out, base::parse_cpu);
}

void Decoder::duration(const Value& value, const Path& path, base::Duration& out) {
  quantity(value, path, out, base::parse_duration);
}

Fields::Fields(const Value& value, Path path, Decoder& decoder)
    : value_(value), path_(std::move(path)), decoder_(decoder) {
  decoder_.expect(value_, path_, ValueKind::kMap);
}

const Value* Fields::take(std::string_view key, Presence presence) {
  known_.push_back(key);
  const Value* value = value_.find(key);
  if (value == nullptr) {
    if (presence == Presence::kRequired) missing_.push_back(key);
    return nullptr;
  }
  if (value->kind == ValueKind::kNull) {
    decoder_.refuse(value->line, path_of(key), "this key has no value",
                    "write one or remove the key");
    return nullptr;
  }
  return decoder_.ok() ? value : nullptr;
}

void Fields::text(std::string_view key, std::string& out, Presence presence) {
  if (const Value* value = take(key, presence)) decoder_.text(*value, path_of(key), out);
}
void Fields::name(std::string_view key, std::string& out, Presence presence) {
  if (const Value* value = take(key, presence)) decoder_.name(*value, path_of(key), out);
}
void Fields::name_or_empty(std::string_view key, std::string& out) {
  const Value* value = take(key);
  if (value == nullptr) return;
  if (value->kind == ValueKind::kText && value->text.empty()) {
    out.clear();
    return;
  }
  decoder_.name(*value, path_of(key), out);
}
void Fields::memory(std::string_view key, base::MiB& out, Presence presence) {
  if (const Value* value = take(key, presence)) decoder_.memory(*value, path_of(key), out);
}
void Fields::cpu(std::string_view key, base::MilliCpu& out, Presence presence) {
  if (const Value* value = take(key, presence)) decoder_.cpu(*value, path_of(key), out);
}
void Fields::duration(std::string_view key, base::Duration& out, Presence presence) {
  if (const Value* value = take(key, presence)) decoder_.duration(*value, path_of(key), out);
}

void Fields::names(std::string_view key, std::vector<std::string>& out) {
  const Value* value = take(key);
  if (value == nullptr || !decoder_.expect(*value, path_of(key), ValueKind::kList)) return;
  out.clear();
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < value->items.size() && decoder_.ok(); ++i) {
    const Value& item = value->items[i];
    std::string name;
    decoder_.name(item, item_path(path_of(key), i), name);
    if (!seen.insert(item.text).second)
      decoder_.refuse(item.line, item_path(path_of(key), i), "\"" + name + "\" appears twice",
                      "remove one of them");
    out.push_back(std::move(name));
  }
}

void Fields::finish() {
  for (const Member& member : value_.members) {
    if (std::ranges::find(known_, member.key) != known_.end()) continue;
    const auto near = nearest(member.key, known_);
    return decoder_.refuse(
        member.line, path_of(clip(member.key)),
        "there is no key \"" + clip(member.key) + "\"" + (path_.empty() ? "" : " in " + path_),
        near ? "did you mean \"" + std::string(*near) + "\"?" : "known keys are " + join(known_));
  }
  for (const std::string_view key : missing_)
    return decoder_.refuse(value_.line, path_of(key), "\"" + std::string(key) + "\" is missing",
                           "add it");
}

}  // namespace tessera::wire
