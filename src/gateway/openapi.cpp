#include "gateway/openapi.h"

#include "base/check.h"
#include "gateway/openapi_text.h"
#include "wire/parse.h"

namespace tessera::gateway {
namespace {

using wire::Json;
using wire::Value;
using wire::ValueKind;

Json json_of(const Value& value) {
  switch (value.kind) {
    case ValueKind::kNull:
      return nullptr;
    case ValueKind::kBool:
      return value.text == "true";
    case ValueKind::kNumber:
      return Json::parse(value.text);
    case ValueKind::kText:
      return value.text;
    case ValueKind::kList: {
      Json list = Json::array();
      for (const Value& item : value.items) list.push_back(json_of(item));
      return list;
    }
    case ValueKind::kMap: {
      Json map = Json::object();
      for (const auto& member : value.members) map[member.key] = json_of(member.value);
      return map;
    }
  }
  return nullptr;
}

Json parsed() {
  const auto documents = wire::parse_yaml(kOpenapiText, "docs/openapi.yaml");
  CHECK_MSG(documents && documents->size() == 1,
            documents ? "more than one document" : base::to_string(documents.error()));
  return json_of(documents->front());
}

}  // namespace

const Json& openapi_document() {
  static const Json document = parsed();
  return document;
}

}  // namespace tessera::gateway
