#include "wire/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera::wire {
namespace {

using base::Reason;
using testing::HasSubstr;

/// The tree on one line: what differs in structure or kind differs here.
std::string shown(const Value& value) {
  std::string text;
  switch (value.kind) {
    case ValueKind::kNull:
      return "null";
    case ValueKind::kBool:
    case ValueKind::kNumber:
      return value.text;
    case ValueKind::kText:
      return "'" + value.text + "'";
    case ValueKind::kList:
      for (const Value& item : value.items) text += (text.empty() ? "" : " ") + shown(item);
      return "[" + text + "]";
    case ValueKind::kMap:
      for (const Member& member : value.members)
        text += (text.empty() ? "" : " ") + member.key + ":" + shown(member.value);
      return "{" + text + "}";
  }
  return text;
}

std::string yaml(std::string_view text) {
  const auto values = parse_yaml(text, "f.yaml");
  if (!values) return to_string(values.error());
  std::string all;
  for (const Value& value : *values) all += (all.empty() ? "" : " --- ") + shown(value);
  return all;
}

std::string json(std::string_view text) {
  const auto value = parse_json(text, "f.json");
  return value ? shown(*value) : to_string(value.error());
}

TEST(ParseYaml, ReadsDocuments) {
  EXPECT_EQ(yaml("a: 1\nb: [x, 'y', true]\n"), "{a:1 b:['x' 'y' true]}");
  EXPECT_EQ(yaml("a: 1\n---\n---\nb: 2\n"), "{a:1} --- {b:2}");
  EXPECT_EQ(yaml(""), "");
  EXPECT_EQ(yaml("# nothing\n"), "");
  EXPECT_EQ(yaml("a:\n"), "{a:null}");
  EXPECT_EQ(yaml("\xEF\xBB\xBF"
                 "a: 1"),
            "{a:1}");
}

TEST(ParseYaml, TakesOnlyPlainDecimalsForNumbers) {
  EXPECT_EQ(yaml("[10, -3, 2.50, 1e3, 0]"), "[10 -3 2.50 1e3 0]");
  EXPECT_EQ(yaml("[010, 0x1F, 1_000, .5, 5., +1, 10GB, 1:30]"),
            "['010' '0x1F' '1_000' '.5' '5.' '+1' '10GB' '1:30']");
  EXPECT_EQ(yaml("['10', \"2\"]"), "['10' '2']");
  EXPECT_EQ(yaml("[yes, on, No, null, ~, True]"), "['yes' 'on' 'No' null null 'True']");
}

TEST(ParseYaml, KnowsLines) {
  const auto values = parse_yaml("a: 1\n\nb:\n  - x\n  - y\n", "f.yaml");
  ASSERT_TRUE(values);
  EXPECT_EQ(values->front().members[1].line, 3);
  EXPECT_EQ(values->front().members[1].value.items[1].line, 5);
}

TEST(ParseYaml, RefusesWhatNobodyNeeds) {
  EXPECT_THAT(yaml("a: &x 1\nb: *x\n"), HasSubstr("f.yaml:1: anchors"));
  EXPECT_THAT(yaml("a: 1\nb: *x\n"), HasSubstr("f.yaml:2"));
  EXPECT_THAT(yaml("a: !!binary aGk=\n"), HasSubstr("tag"));
  EXPECT_THAT(yaml("a: !evil {b: 1}\n"), HasSubstr("tag"));
  EXPECT_THAT(yaml("a: 1\nb: 2\na: 3\n"), HasSubstr("f.yaml:3: the key \"a\" appears twice"));
  EXPECT_THAT(yaml("a: 1\n? [x, y]\n: 2\n"), HasSubstr("where a key should be"));
  EXPECT_THAT(yaml("a: b: c\n"), HasSubstr("f.yaml:1: this is not YAML"));
  EXPECT_THAT(yaml("a: [1, 2\n"), HasSubstr("f.yaml:"));
  EXPECT_THAT(yaml("\ta: 1\n"), HasSubstr("f.yaml:1"));
  EXPECT_THAT(yaml("a: \"\\0\"\n"), HasSubstr("control character"));
}

/// yaml-cpp stands still before a bracket that closes nothing; we must not.
TEST(ParseYaml, GetsPastAStrayBracket) {
  for (const char* text : {"}", "]", "{a: 1}}", "[a]]", "a: 1\n]", "{a: 1}\n---\n}", ",", "- a\n}"})
    EXPECT_THAT(yaml(text), HasSubstr("not YAML")) << text;
  EXPECT_THAT(to_string(parse("{\"a\": 1}}", "f").error()), HasSubstr("not JSON"));
}

TEST(ParseYaml, BoundsAliasBombs) {
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'z'; ++c)
    bomb += std::string(1, c) + ": &" + c + " [*" + static_cast<char>(c - 1) + ", *" +
            static_cast<char>(c - 1) + "]\n";
  EXPECT_THAT(yaml(bomb), HasSubstr("f.yaml:1: anchors"));
}

TEST(ParseJson, ReadsValues) {
  EXPECT_EQ(json(R"({"a":1,"b":[true,null,"x\u00e9",-2.50,1e3]})"),
            "{a:1 b:[true null 'x\xC3\xA9' -2.50 1e3]}");
  EXPECT_EQ(json(" [] "), "[]");
  EXPECT_EQ(json("18446744073709551615"), "18446744073709551615");
}

TEST(ParseJson, KnowsLines) {
  const auto value = parse_json("{\n  \"a\": 12\n,\n\"b\": {\n\"c\": \"x\"}}", "f.json");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->members[0].value.line, 2);
  EXPECT_EQ(value->members[1].value.members[0].line, 5);
}

TEST(ParseJson, RefusesWhatIsNotJson) {
  EXPECT_THAT(json(""), HasSubstr("f.json:1: this is not JSON"));
  EXPECT_THAT(json("{\"a\":1,\n}"), HasSubstr("f.json:2: this is not JSON"));
  EXPECT_THAT(json("{\"a\":1} x"), HasSubstr("not JSON"));
  EXPECT_THAT(json("{'a':1}"), HasSubstr("not JSON"));
  EXPECT_THAT(json("[1e999]"), HasSubstr("not JSON"));
  EXPECT_THAT(json("[NaN]"), HasSubstr("not JSON"));
  EXPECT_THAT(json("{\"a\":1,\n\"a\":2}"), HasSubstr("f.json:2: the key \"a\" appears twice"));
  EXPECT_THAT(json(R"(["\u0000"])"), HasSubstr("control character"));
  EXPECT_THAT(json(R"(["\ud800"])"), HasSubstr("not JSON"));
}

/// Rules on text that hold for both languages.
class BothTest : public testing::TestWithParam<bool> {
 protected:
  static base::Result<Value> read(const std::string& text, Limits limits = {}) {
    if (GetParam()) return parse_json(text, "f", limits);
    auto values = parse_yaml(text, "f", limits);
    if (!values) return std::unexpected(values.error());
    return values->empty() ? Value{} : values->front();
  }
};

TEST_P(BothTest, RefusesInvalidUtf8) {
  const auto value = read("[\n\"\xC3\x28\"]");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().where, "f:2");
  EXPECT_THAT(value.error().what, HasSubstr("UTF-8"));
  for (const char* text : {"[\"\xC0\xAF\"]", "[\"\xED\xA0\x80\"]", "[\"\xF4\x90\x80\x80\"]",
                           "[\"\xE2\x82\"]", "[\"\x80\"]", "\xFF\xFE[\x00"})
    EXPECT_FALSE(read(text)) << text;
  EXPECT_TRUE(read("[\"\xF0\x9F\x8E\xA8 \xE2\x82\xAC\"]"));
}

TEST_P(BothTest, RefusesControlCharacters) {
  for (const char c : {'\0', '\x04', '\x1B', '\x7F'})
    EXPECT_FALSE(read("[\"" + std::string(1, c) + "\"]")) << static_cast<int>(c);
}

TEST_P(BothTest, BoundsDepth) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(read(nested(64)));
  const auto deep = read(nested(65));
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().reason, Reason::kTooLarge);
  EXPECT_FALSE(read(nested(200'000)));
  EXPECT_FALSE(read(std::string(200'000, '[')));
  EXPECT_FALSE(read(std::string(200'000, '{')));
}

TEST_P(BothTest, BoundsSize) {
  const auto large = read("\"" + std::string(1 << 20, 'x') + "\"");
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().reason, Reason::kTooLarge);
  EXPECT_TRUE(read("\"" + std::string(1000, 'x') + "\"", {.bytes = 1002}));
  EXPECT_FALSE(read("\"" + std::string(1001, 'x') + "\"", {.bytes = 1002}));
}

INSTANTIATE_TEST_SUITE_P(Languages, BothTest, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Json" : "Yaml"; });

TEST(Parse, TellsTheLanguagesApart) {
  EXPECT_EQ(shown(parse("\n {\"a\": 1}", "f")->front()), "{a:1}");
  EXPECT_EQ(shown(parse("a: 1", "f")->front()), "{a:1}");
  EXPECT_EQ(shown(parse("{a: 1}", "f")->front()), "{a:1}");
  EXPECT_THAT(to_string(parse("{\"a\": ", "f").error()), HasSubstr("not JSON"));
}

}  // namespace
}  // namespace tessera::wire
