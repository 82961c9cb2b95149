// The one door for JSON from outside: what breaks a caller's rule is refused by a sentence.
#include "hal/base/strict_json.h"

#include <gtest/gtest.h>

#include <string>

namespace qama {
namespace {

constexpr JsonRules kRules{.what = "reply",
                           .code = ErrorCode::device_protocol,
                           .twice = ErrorCode::model_duplicate_key,
                           .max_bytes = 1000,
                           .max_depth = 4,
                           .max_values = 10};

std::string refusal(const std::string& text, const JsonRules& rules = kRules) {
  const auto parsed = parse_json(text, rules);
  if (parsed.ok()) return "accepted: " + parsed->dump();
  return std::string(error_name(parsed.error().code)) + ": " + parsed.error().message;
}

TEST(StrictJson, ReadsWhatKeepsTheRules) {
  const auto parsed = parse_json(R"({"a":[1,-2,3.5,"x",true,null],"b":{"c":{}}})", kRules);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->dump(), R"({"a":[1,-2,3.5,"x",true,null],"b":{"c":{}}})");
  const auto ordered = parse_json<nlohmann::ordered_json>(R"({"b":1,"a":2})", kRules);
  ASSERT_TRUE(ordered.ok()) << ordered.error().message;
  EXPECT_EQ(ordered->dump(), R"({"b":1,"a":2})");
}

TEST(StrictJson, EachRuleHasItsLastValueAndItsFirstRefusal) {
  EXPECT_EQ(refusal("[[[[]]]]"), "accepted: [[[[]]]]");
  EXPECT_EQ(refusal("[[[[[]]]]]"),
            "DEVICE_PROTOCOL: reply: nested deeper than expected, at most 4 levels");
  EXPECT_EQ(refusal("[1,2,3,4,5,6,7,8,9]"), "accepted: [1,2,3,4,5,6,7,8,9]");
  EXPECT_EQ(refusal("[1,2,3,4,5,6,7,8,9,0]"),
            "DEVICE_PROTOCOL: reply: expected at most 10 values, got more");
  EXPECT_EQ(refusal("\"" + std::string(998, 'x') + "\""),
            "accepted: \"" + std::string(998, 'x') + "\"");
  EXPECT_EQ(refusal("\"" + std::string(999, 'x') + "\""),
            "DEVICE_PROTOCOL: reply: 1001 bytes, expected at most 1000");
  EXPECT_EQ(refusal(R"({"a":{"b":1},"b":{"b":1}})"), R"(accepted: {"a":{"b":1},"b":{"b":1}})");
  EXPECT_EQ(refusal(R"({"a":1,"a":1})"),
            "MODEL_DUPLICATE_KEY: reply: key 'a' twice, expected once");
  EXPECT_EQ(refusal(std::string("[1]\0[2]", 7)),
            "DEVICE_PROTOCOL: reply: not JSON at byte 4, a zero byte");
}

TEST(StrictJson, NoTextButJson) {
  for (const char* text : {"", " ", "[", "[1,]", "{\"a\"}", "nul", "[1] 2", "1e999", "\"\xff\"",
                           "'a'", "[NaN]", "// x\n1", "\xEF\xBB\xBF["}) {
    EXPECT_EQ(refusal(text).rfind("DEVICE_PROTOCOL: reply: not JSON", 0), 0U) << text;
  }
}

// A parser that recurses, or whose values do, ends the process here.
TEST(StrictJson, MillionsOfBracketsCostOneSentence) {
  JsonRules wide = kRules;
  wide.max_bytes = std::size_t{1} << 26;
  EXPECT_EQ(refusal(std::string(60'000'000, '['), wide),
            "DEVICE_PROTOCOL: reply: nested deeper than expected, at most 4 levels");
  std::string flat = "[0";
  while (flat.size() < 60'000'000) flat += ",0";
  EXPECT_EQ(refusal(flat + "]", wide),
            "DEVICE_PROTOCOL: reply: expected at most 10 values, got more");
}

}  // namespace
}  // namespace qama
