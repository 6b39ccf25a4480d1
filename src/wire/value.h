#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What a person or a program wrote, before it means anything: one tree for YAML and for JSON, in
/// which every value knows its line. Scalars keep their text, so that quantities and money are read
/// exactly and never pass through a floating-point number.
namespace tessera::wire {

enum class ValueKind : std::uint8_t { kNull, kBool, kNumber, kText, kList, kMap };

/// "a number", "text", "a list" …: for messages.
std::string_view describe(ValueKind kind);

struct Member;

/// A plain value; owns its children. Maps have no key twice (the parsers refuse that).
struct Value {
  ValueKind kind = ValueKind::kNull;
  int line = 0;      ///< from 1, in the text it was read from
  std::string text;  ///< of a scalar: as written, unquoted and unescaped
  std::vector<Value> items;
  std::vector<Member> members;  ///< in the order of writing

  const Value* find(std::string_view key) const;
};

struct Member {
  std::string key;
  int line = 0;  ///< of the key
  Value value;
};

}  // namespace tessera::wire
