#include "wire/value.h"

#include <algorithm>

namespace tessera::wire {

std::string_view describe(ValueKind kind) {
  switch (kind) {
    case ValueKind::kNull:
      return "nothing";
    case ValueKind::kBool:
      return "true or false";
    case ValueKind::kNumber:
      return "a number";
    case ValueKind::kText:
      return "text";
    case ValueKind::kList:
      return "a list";
    case ValueKind::kMap:
      return "a map";
  }
  return "nothing";
}

const Value* Value::find(std::string_view key) const {
  const auto found = std::ranges::find(members, key, &Member::key);
  return found == members.end() ? nullptr : &found->value;
}

}  // namespace tessera::wire
