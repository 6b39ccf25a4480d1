#include "wire/yaml.h"

#include <gtest/gtest.h>

#include "wire/parse.h"

namespace tessera::wire {
namespace {

TEST(Yaml, LooksAsPeopleWriteIt) {
  const Json json = {{"kind", "Pool"},
                     {"metadata", {{"name", "h100"}}},
                     {"spec",
                      {{"tiers", {"production", "staging"}},
                       {"layout", {{"instances", {"4g.40gb@0", "3g.40gb@4"}}}},
                       {"empty", Json::array()},
                       {"none", nullptr},
                       {"gpus", 8},
                       {"nodes", {{{"name", "a"}, {"ready", true}}, {{"name", "b"}}}}}}};
  EXPECT_EQ(to_yaml(json), R"(kind: Pool
metadata:
  name: h100
spec:
  empty: []
  gpus: 8
  layout:
    instances:
    - 4g.40gb@0
    - 3g.40gb@4
  nodes:
  - name: a
    ready: true
  - name: b
  none: null
  tiers:
  - production
  - staging
)");
}

TEST(Yaml, QuotesWhatWouldBeReadAsSomethingElse) {
  for (const char* text :
       {"",     "2",    "2.80", "1e3", "0x1F", "true", "No",   "null",
        "~",    "a: b", "a #b", "- a", " a",   "a ",   "a:",   "2026-11-22T19:30:00Z",
        "1:30", "*a",   "&a",   "{a",  "[a",   "'a",   "a\nb", "%a",
        "@a",   "a\tb", "!a",   "|",   ".5"})
    EXPECT_EQ(to_yaml(Json(text)).front(), '"') << text;
  for (const char* text : {"8h", "40GiB", "9984MiB", "vision", "node-1/3", "1g.10gb", "a b, c"})
    EXPECT_EQ(to_yaml(Json(text)), std::string(text) + "\n");
}

TEST(Yaml, SeparatesDocuments) {
  EXPECT_EQ(to_yaml_documents({Json{{"a", 1}}, Json{{"b", 2}}}), "---\na: 1\n---\nb: 2\n");
}

TEST(Yaml, NestsListsInLists) {
  const Json json = {{"a", {{1, 2}, Json::array(), {{{"b", 3}}}}}};
  const auto values = parse_yaml(to_yaml(json), "f");
  ASSERT_TRUE(values) << to_yaml(json);
  const Value* list = values->front().find("a");
  ASSERT_EQ(list->items.size(), 3u);
  EXPECT_EQ(list->items[0].items[1].text, "2");
  EXPECT_EQ(list->items[2].items[0].find("b")->text, "3");
}

}  // namespace
}  // namespace tessera::wire
