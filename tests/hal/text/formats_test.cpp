// Text formats: what is read is what the file says, what is printed is read again, and a bad file
// is refused with its line.
#include "hal/text/formats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/test_support.h"

namespace qama::hal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kLayer =
    "qama small\n"
    "2 3 2 1.5 0.25\n"
    "1 -1\n"
    "0.5 1 2\n"
    "-0.25 0.5 -1\n"
    "+1e-1 -2 0.125\n"
    "-1 -1\n"
    "0 1 1\n"
    "1 0 3\n"
    "2 -1 0\n";

std::string error_of(std::string_view text, std::string_view format) {
  return test::describe(parse_problem(text, "file", format));
}

std::string_view sniffed(std::string_view bytes, std::string_view name) {
  for (const ProblemFormat* format : problem_formats()) {
    if (format->sniff(bytes, name)) return format->name;
  }
  return "";
}

TEST(Formats, LayerIsRead) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(kLayer, "file", "qama"));
  EXPECT_EQ(file.layer.name, "small");
  EXPECT_EQ(file.shape().heads, 2);
  EXPECT_EQ(file.shape().tokens, 3);
  EXPECT_EQ(file.layer.rho, 1.5);
  EXPECT_EQ(file.layer.lambda, 0.25);
  EXPECT_THAT(file.layer.signs, ElementsAre(1, -1, -1, -1));
  EXPECT_THAT(file.layer.fields, ElementsAre(0.5, -0.25, 0.1, 0, 1, 2));
}

TEST(Formats, WrittenLayerReadsBackTheSame) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(kLayer, "file", "qama"));
  const std::string text = to_text(file);
  ASSERT_OK_AND_ASSIGN(const ProblemFile again, parse_problem(text, "again", "qama"));
  EXPECT_EQ(again.layer.name, file.layer.name);
  EXPECT_EQ(again.layer.signs, file.layer.signs);
  EXPECT_EQ(again.layer.fields, file.layer.fields);
  EXPECT_EQ(again.layer.factors, file.layer.factors);
  EXPECT_EQ(to_text(again), text);
}

TEST(Formats, FormatIsSniffed) {
  EXPECT_EQ(sniffed(kLayer, "x.mc"), "qama");
  EXPECT_EQ(sniffed("3 1\n1 2 1\n", "x"), "maxcut");
  EXPECT_EQ(sniffed("3 2\n1 2 1\n2 2 1\n", "x"), "qubo");
  EXPECT_EQ(sniffed("3 2\n1 2 1\n2 2 1\n", "x.mc"), "maxcut");
  EXPECT_EQ(sniffed("3 1\n1 2 1\n", "x.qubo"), "qubo");
  EXPECT_EQ(sniffed("", "x"), "maxcut");
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem("3 1\n2 2 1\n", "x"));
  EXPECT_EQ(file.kind, ProblemKind::qubo);
  EXPECT_EQ(error_of("3 1\n1 2 1\n", "ising"),
            "INVALID_ARGUMENT: problem format 'ising' is not known, expected one of qama, qubo, "
            "maxcut");
}

TEST(Formats, WhatIsPrintedIsReadAgain) {
  for (const char* text : {"3 2\n1 2 1073741824\n2 3 -5\n", "3 2\n1 1 -2.5\n1 3 0.125\n"}) {
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(text, "file"));
    EXPECT_EQ(to_text(file), text);
  }
}

TEST(Formats, ErrorsNameTheLine) {
  constexpr std::string_view qama = "qama", maxcut = "maxcut", qubo = "qubo";
  EXPECT_EQ(error_of("", qama),
            "PROBLEM_BAD_FORMAT: problem 'file', line 1: expected 'qama' and a name");
  EXPECT_EQ(error_of("qama x\n1 2\n", qama),
            "PROBLEM_BAD_FORMAT: problem 'file', line 3: number of columns is missing, expected a "
            "whole number");
  EXPECT_THAT(error_of("qama x\n0 2 1 1 0\n", qama), HasSubstr("PROBLEM_BAD_FORMAT"));
  EXPECT_THAT(error_of("qama x\n65 2 1 1 0\n", qama), HasSubstr("PROBLEM_TOO_LARGE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 -1\n1\n0 0\n", qama), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 nan 0\n1\n0 0\n", qama), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1e999 0\n1\n0 0\n", qama), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 0\n2\n0 0\n", qama),
              HasSubstr("PROBLEM_BAD_VALUE: problem 'file', line 3: a column's sign"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 0\n1\n0 1,5\n", qama),
              HasSubstr("PROBLEM_BAD_FORMAT: problem 'file', line 4: a factor is '1,5'"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 0\n1\n0 0\n7\n", qama), HasSubstr("line 5: '7' follows"));
  EXPECT_THAT(error_of("3 2\n1 2 1\n", maxcut), HasSubstr("too short for 2 lines"));
  EXPECT_THAT(error_of("3 1\n1 4 1\n", maxcut), HasSubstr("PROBLEM_TOO_LARGE"));
  EXPECT_THAT(error_of("3 1\n0 1 1\n", maxcut),
              HasSubstr("PROBLEM_BAD_FORMAT: problem 'file', line 2: index i is 0"));
  EXPECT_THAT(error_of("3 1\n2 2 1\n", maxcut), HasSubstr("to itself"));
  EXPECT_THAT(error_of("3 1\n1 2 0.5\n", maxcut), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("3 1\n1 2 1e30\n", maxcut), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("3 1\n1 2 1 1\n", maxcut), HasSubstr("follows the last number"));
  EXPECT_THAT(error_of("3 -1\n", maxcut), HasSubstr("PROBLEM_BAD_FORMAT"));
  EXPECT_THAT(error_of("3.0 1\n1 2 1\n", qubo), HasSubstr("expected a whole number"));
  EXPECT_THAT(error_of("99999999999999999999 1\n1 2 1\n", qubo), HasSubstr("PROBLEM_BAD_FORMAT"));
  EXPECT_THAT(error_of("3 1\n1 2 inf\n", qubo), HasSubstr("PROBLEM_BAD_VALUE"));
}

TEST(Formats, SizesAreCheckedAgainstTheBytesThatAreThere) {
  EXPECT_THAT(error_of("qama x\n64 1048576 4096 1 0\n1 1\n", "qama"),
              HasSubstr("too short for 64 heads"));
  EXPECT_THAT(error_of("9 2147483647\n1 2 1\n", "maxcut"), HasSubstr("too short"));
}

}  // namespace
}  // namespace qama::hal
