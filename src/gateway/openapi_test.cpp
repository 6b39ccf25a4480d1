#include "gateway/openapi.h"

#include <map>
#include <set>

#include <gtest/gtest.h>

#include "base/reason.h"
#include "gateway/route.h"

/// The written contract and the program must say the same, both ways.
namespace tessera::gateway {
namespace {

using wire::Json;

const Json* resolve(const std::string& reference) {
  if (!reference.starts_with("#/")) return nullptr;
  const Json::json_pointer pointer(reference.substr(1));
  return openapi_document().contains(pointer) ? &openapi_document().at(pointer) : nullptr;
}

std::string lower(std::string_view text) {
  std::string result;
  for (const char c : text)
    result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

/// The parameters of an operation that are `in` the query or the path, by name.
std::set<std::string> parameters(const Json& item, const Json& operation, const char* in) {
  std::set<std::string> names;
  for (const Json* holder : {&item, &operation}) {
    for (const Json& entry : holder->value("parameters", Json::array())) {
      const Json* parameter = resolve(entry.at("$ref"));
      if (parameter != nullptr && parameter->at("in") == in) names.insert(parameter->at("name"));
    }
  }
  return names;
}

std::set<std::string> words(std::string_view text, char separator) {
  std::set<std::string> result;
  std::string word;
  for (const char c : text) {
    if (c != separator) {
      word += c;
    } else if (!word.empty()) {
      result.insert(std::exchange(word, {}));
    }
  }
  if (!word.empty()) result.insert(word);
  return result;
}

TEST(Openapi, DescribesEveryRoute) {
  for (const Route& route : routes()) {
    SCOPED_TRACE(std::string(route.method) + " " + std::string(route.path));
    const Json& paths = openapi_document().at("paths");
    ASSERT_TRUE(paths.contains(std::string(route.path)));
    const Json& item = paths.at(std::string(route.path));
    ASSERT_TRUE(item.contains(lower(route.method)));
    const Json& operation = item.at(lower(route.method));
    EXPECT_EQ(operation.at("operationId"), route.operation);
    EXPECT_EQ(operation.at("x-tessera-role"), to_string(route.access));
    EXPECT_EQ(operation.contains("security"), route.access == Access::kAnyone);
    EXPECT_EQ(parameters(item, operation, "query"), words(route.query, ' '));
    std::set<std::string> in_path;
    for (const std::string& segment : words(route.path, '/'))
      if (segment.starts_with('{')) in_path.insert(segment.substr(1, segment.size() - 2));
    EXPECT_EQ(parameters(item, operation, "path"), in_path);
  }
}

TEST(Openapi, DescribesNothingElse) {
  std::set<std::string> known;
  std::set<std::string> ids;
  for (const Route& route : routes()) {
    known.insert(lower(route.method) + " " + std::string(route.path));
    EXPECT_TRUE(ids.insert(std::string(route.operation)).second) << route.operation;
  }
  for (const auto& [path, item] : openapi_document().at("paths").items()) {
    for (const auto& [method, operation] : item.items()) {
      if (method == "parameters") continue;
      EXPECT_TRUE(known.contains(method + " " + path)) << method << " " << path;
    }
  }
}

void check_references(const Json& value, const std::string& where, int& count) {
  if (value.is_object() && value.contains("$ref")) {
    ++count;
    EXPECT_NE(resolve(value.at("$ref")), nullptr) << where << ": " << value.at("$ref");
  }
  if (value.is_structured())
    for (const auto& [key, part] : value.items()) check_references(part, where + "/" + key, count);
}

TEST(Openapi, EveryReferenceResolves) {
  int count = 0;
  check_references(openapi_document(), "#", count);
  EXPECT_GT(count, 300);
}

TEST(Openapi, ListsEveryReason) {
  std::set<std::string> reasons;
#define X(name, text) reasons.insert(text);
  TESSERA_REASONS(X)
#undef X
  std::set<std::string> listed;
  for (const Json& reason :
       openapi_document().at("components").at("schemas").at("Reason").at("enum"))
    listed.insert(reason);
  EXPECT_EQ(listed, reasons);
}

TEST(Routes, MatchWholePathsOnly) {
  std::vector<std::string> names;
  EXPECT_TRUE(matches("/v1/gpus/{node}/{number}", {"v1", "gpus", "node-1", "3"}, names));
  EXPECT_EQ(names, (std::vector<std::string>{"node-1", "3"}));
  EXPECT_FALSE(matches("/v1/gpus/{node}/{number}", {"v1", "gpus", "node-1"}, names));
  EXPECT_FALSE(matches("/v1/gpus/{node}", {"v1", "gpus", "node-1", "3"}, names));
  EXPECT_FALSE(matches("/v1/tiers", {"v1", "teams"}, names));
  EXPECT_FALSE(matches("/v1/tiers", {}, names));
}

}  // namespace
}  // namespace tessera::gateway
