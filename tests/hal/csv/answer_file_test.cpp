// The vendor's JSON in its shapes, rows of signs, and one sentence for everything else.
#include "hal/csv/answer_file.h"

#include <gtest/gtest.h>

#include "tests/test_support.h"

namespace qama::hal::csv {
namespace {

using Signs = std::vector<std::int8_t>;

TEST(AnswerFile, TheVendorsJsonInItsShapes) {
  const Signs expected{1, -1, 1};
  for (const char* text :
       {R"([{"solutionVector": [1, -1, 1]}])", R"({"solutionVector": [1, 0, 1]})",
        R"({"code": "0", "data": {"out_data": [{"result": 1, "solutionVector": [1.0, 0.0, 1]}],)"
        R"( "visual_data": [4.0, -43.0]}})",
        R"({"results": [{"solutionVector": [1, -1, 1]}]})", "[[1, -1, 1]]",
        R"({"out_data": [[1, -1, 1]]})", "\xEF\xBB\xBF [[1, -1, 1]]\n"}) {
    const auto rows = parse_answer(text, "a", 3);
    ASSERT_OK(rows);
    ASSERT_EQ(rows->size(), 1U) << text;
    EXPECT_EQ(rows->front().signs, expected) << text;
    EXPECT_FALSE(rows->front().value.has_value());
  }
  const auto two = parse_answer(
      R"([{"quboValue": -4.5, "solutionVector": [1, 1]}, {"solutionVector": [-1, 1]}])", "a", 2);
  ASSERT_OK(two);
  ASSERT_EQ(two->size(), 2U);
  EXPECT_EQ(two->front().value, -4.5);
  EXPECT_EQ(two->back().signs, (Signs{-1, 1}));
}

TEST(AnswerFile, RowsOfSigns) {
  for (const char* text : {"1,-1,1\n-1,-1,1\n", "1 -1 1\r\n-1 -1 1", "+1; -1; +1;\n\n0;0;1",
                           "\xEF\xBB\xBF\n1 -1 1\n-1 -1 1"}) {
    const auto rows = parse_answer(text, "a", 3);
    ASSERT_OK(rows);
    ASSERT_EQ(rows->size(), 2U) << text;
    EXPECT_EQ(rows->front().signs, (Signs{1, -1, 1})) << text;
    EXPECT_EQ(rows->back().signs, (Signs{-1, -1, 1})) << text;
  }
}

TEST(AnswerFile, EverythingElseIsOneSentence) {
  const auto says = [](const std::string& text) {
    const auto rows = parse_answer(text, "a.json", 2);
    EXPECT_FALSE(rows.ok()) << text;
    if (rows.ok()) return std::string();
    EXPECT_EQ(rows.error().code, ErrorCode::invalid_argument);
    return rows.error().message;
  };
  EXPECT_EQ(says(""), "answer file 'a.json': it has no row");
  EXPECT_EQ(says("[{\"solutionVector\": [1, "),
            "answer file 'a.json': not JSON at byte 25, near '1, '");
  EXPECT_EQ(says("{}"), "answer file 'a.json': it has no \"solutionVector\" and no list of rows");
  EXPECT_EQ(says("[]"), "answer file 'a.json': it has no \"solutionVector\" and no list of rows");
  // An item that is no answer is not passed over.
  EXPECT_EQ(says("[1, 1]"),
            "answer file 'a.json': item 1 of the list has no \"solutionVector\" and is no row");
  EXPECT_EQ(says(R"([[1, 1], {"solutionvector": [1, 1]}])"),
            "answer file 'a.json': item 2 of the list has no \"solutionVector\" and is no row");
  EXPECT_EQ(says(R"({"data": {"out_data": [[1, 1], {"solutionVector": [1, 1]}, null]}})"),
            "answer file 'a.json': item 3 of \"out_data\" has no \"solutionVector\" and is no row");
  EXPECT_EQ(says(R"([{"results": []}, [1, 1]])"),
            "answer file 'a.json': item 1 of the list has no \"solutionVector\" and is no row");
  for (const std::string value : {"\"-4.5\"", "null", "[-4.5]", "true"}) {
    EXPECT_EQ(says(R"([[1, 1], {"quboValue": )" + value + R"(, "solutionVector": [1, 1]}])"),
              "answer file 'a.json': row 2 has quboValue '" + value + "', expected a number");
  }
  EXPECT_EQ(says(R"({"solutionVector": 7})"), "answer file 'a.json': row 1 is no list");
  EXPECT_EQ(says("[[1, -1], [1]]"), "answer file 'a.json': row 2 has 1 values, expected 2");
  EXPECT_EQ(says("1 -1\n1 -1 1\n"), "answer file 'a.json': line 2 has 3 values, expected 2");
  EXPECT_EQ(says("1 2"), "answer file 'a.json': line 1 holds '2', expected 1 or -1");
  EXPECT_EQ(says("1 x"), "answer file 'a.json': line 1 holds 'x', expected 1 or -1");
  EXPECT_EQ(says("1 nan"), "answer file 'a.json': line 1 holds 'nan', expected 1 or -1");
  EXPECT_EQ(says("1 +-1"), "answer file 'a.json': line 1 holds '+-1', expected 1 or -1");
  EXPECT_EQ(says("1 ++1"), "answer file 'a.json': line 1 holds '++1', expected 1 or -1");
  EXPECT_EQ(says("1 +"), "answer file 'a.json': line 1 holds '+', expected 1 or -1");
  EXPECT_EQ(says("0 -1"), "answer file 'a.json': line 1 holds '-1', expected 0 and 1 alone");
  EXPECT_EQ(says(R"([["1", 1]])"), "answer file 'a.json': row 1 holds '\"1\"', expected 1 or -1");
  // One byte order mark, whole and at the beginning.
  for (const char* text :
       {"\xEF\xBB\xBF\xEF\xBB\xBF[[1, 1]]", "\xBB[[1, 1]]", "\n\xEF\xBB\xBF[[1, 1]]",
        "\xEF\xBB\xBF\xEF\xBB\xBF"
        "1 1",
        "1 1\n\xEF\xBB\xBF"
        "1 1"})
    EXPECT_NE(says(text).find(" holds '"), std::string::npos) << text;
  // Deep nesting and large numbers end as sentences, too.
  EXPECT_FALSE(parse_answer(std::string(100000, '['), "a", 2).ok());
  EXPECT_FALSE(parse_answer("[[1e999, 1]]", "a", 2).ok());
}

}  // namespace
}  // namespace qama::hal::csv
