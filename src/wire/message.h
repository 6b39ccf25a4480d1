#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "wire/decoder.h"
#include "wire/document.h"

/// Reading a JSON text that came over the network. Internal to this room.
namespace tessera::wire {

/// Of numbers that count up for ever: generations, revisions, leases.
constexpr std::int64_t kLargestSerial = std::numeric_limits<std::int64_t>::max();

/// Reads a map with `read(fields, message)` and refuses the keys that it did not ask for. A `read`
/// that checks what it has read finishes the fields first, so that a misspelt key is said first.
template <class T, class Read>
base::Result<T> decode_message(std::string_view json, Limits limits, Read read) {
  const auto value = parse_json(json, {}, limits);
  if (!value) return std::unexpected(value.error());
  Decoder decoder{std::string()};
  Fields fields(*value, {}, decoder);
  T message{};
  read(fields, message);
  fields.finish();
  if (!decoder.ok()) return decoder.error();
  return message;
}

/// The same of a request's body, which may be empty where every key is optional.
template <class T, class Read>
base::Result<T> decode_body(std::string_view json, Limits limits, Read read) {
  const bool empty = json.find_first_not_of(" \t\r\n") == json.npos;
  return decode_message<T>(empty ? "{}" : json, limits, std::move(read));
}

/// Calls `read(fields)` for each item of a required list of maps, in order.
template <class Read>
void for_each_item(Fields& parent, std::string_view key, Read read) {
  Decoder& decoder = parent.decoder();
  const Value* list = parent.take(key, Presence::kRequired);
  if (list == nullptr || !decoder.expect(*list, parent.path_of(key), ValueKind::kList)) return;
  for (std::size_t i = 0; i < list->items.size() && decoder.ok(); ++i) {
    Fields fields(list->items[i], item_path(parent.path_of(key), i), decoder);
    read(fields);
    fields.finish();
  }
}

}  // namespace tessera::wire
