// Text formats: what is read is what the file says, what is printed is read again, and a bad file
// is refused with its line.
#include "hal/text/formats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "hal/lower/decode.h"
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

/// What a file is read as; empty if it is refused.
std::string guessed(std::string_view bytes, std::string_view name) {
  const auto file = parse_problem(bytes, name);
  return file.ok() ? file->format : "";
}

double value_of_bits(const ProblemFile& file, std::string_view bits) {
  std::uint64_t spins = 0;
  for (std::size_t i = 0; i < bits.size(); ++i) spins |= std::uint64_t{bits[i] == '1'} << i;
  return value_of(file, {&spins, 1});
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

TEST(Formats, FormatIsGuessedFromTheNameOrTheFirstLine) {
  const std::string_view plain = "3 1\n1 2 1\n", negative = "3 1\n1 2 -1\n";
  EXPECT_EQ(guessed(kLayer, "x.mc"), "qama");
  EXPECT_EQ(guessed(plain, "x"), "maxcut");
  EXPECT_EQ(guessed("3 2\n1 2 1\n2 3 1\n", "x.txt"), "maxcut");
  EXPECT_EQ(guessed(negative, "x.MC"), "maxcut");
  EXPECT_EQ(guessed(negative, "dir/G27"), "maxcut");
  EXPECT_EQ(guessed(plain, "x.qubo"), "qubo");
  EXPECT_EQ(guessed(plain, "X.QUBO"), "qubo");
  EXPECT_EQ(guessed(plain, "x.bqp"), "qubo");
  EXPECT_EQ(guessed(plain, "x.ising"), "ising");
  EXPECT_EQ(guessed("2 3\n1 1 -1\n2 2 2\n1 2 3\n", "x"), "qubo");
  EXPECT_EQ(guessed("c text\np qubo 0 3 1 0\n1 1 2\n", "x.mc"), "qbsolv");
  EXPECT_EQ(guessed("c text\np edge 3 1\ne 1 2\n", "x"), "dimacs");
  EXPECT_EQ(guessed("# vartype=SPIN\n0 1 2\n", "x"), "coo");
  EXPECT_EQ(guessed("0 1 2\n", "x.coo"), "coo");
  EXPECT_EQ(guessed("0,1\n1,0\n", "x.csv"), "csv");
  EXPECT_EQ(guessed("1,1\n1,-2\n", "x.csv"), "csv-qubo");
  const std::string banner = "%%MatrixMarket matrix coordinate real general\n";
  EXPECT_EQ(guessed(banner + "2 2 2\n1 1 -1\n1 2 2\n", "x"), "mtx");
  EXPECT_EQ(guessed(banner + "2 2 1\n1 2 2\n", "x"), "mtx-maxcut");
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(plain, "x.QUBO"));
  EXPECT_EQ(describe_format(file), "qubo (from the name .qubo)");
  ASSERT_OK_AND_ASSIGN(const ProblemFile told, parse_problem(plain, "x", "MaxCut"));
  EXPECT_EQ(describe_format(told), "maxcut");
  EXPECT_EQ(error_of(plain, "sudoku"),
            "INVALID_ARGUMENT: problem format 'sudoku' is not known, expected one of qama, mtx, "
            "mtx-maxcut, qbsolv, dimacs, coo, csv, csv-qubo, ising, qubo, maxcut");
}

TEST(Formats, WhatCouldBeTwoThingsIsRefused) {
  // A self loop, and negative weights without a linear term.
  for (const char* text :
       {"4 4\n1 2 1\n2 3 1\n3 4 1\n2 2 1\n", "4 2\n1 2 1\n2 2 -1\n", "3 2\n1 2 -2\n2 3 -1\n"}) {
    EXPECT_THAT(error_of(text, ""), HasSubstr("could be a qubo or a maxcut")) << text;
  }
  EXPECT_THAT(error_of("%%MatrixMarket matrix coordinate real general\n3 3 2\n1 1 1\n1 2 -2\n", ""),
              HasSubstr("name a format"));
  EXPECT_THAT(error_of("1 2 3\n2 3 4\n", ""), HasSubstr("could be a coo"));
  EXPECT_THAT(error_of("hello world\n", ""), HasSubstr("the formats are qama, mtx"));
  EXPECT_THAT(error_of("", ""), HasSubstr("PROBLEM_BAD_FORMAT"));
  EXPECT_THAT(error_of("", ""), HasSubstr("line 1: an empty text is no problem that is known"));
  EXPECT_THAT(error_of("3 2\n1 2\n2 3 1\n", ""), HasSubstr("line 2: a weight is missing"));
}

TEST(Formats, CommentsAndBlankLinesDoNotCount) {
  ASSERT_OK_AND_ASSIGN(
      const ProblemFile file,
      parse_problem(
          "\xEF\xBB\xBF# one\nc two\n% three\n// four\n\n3 2  # sizes\r\n\t1 2 1.5 // w\n\n"
          "2 3 -1 % end\nc\n",
          "file", "qubo"));
  EXPECT_EQ(file.graph.edges.size(), 2U);
  EXPECT_EQ(file.graph.edges[0].weight, 1.5);
  EXPECT_THAT(error_of("# one\n3 2\n\n1 2 x\n", "qubo"), HasSubstr("line 4: a weight is 'x'"));
}

/// A vartype that is overlooked makes another problem of the file.
TEST(Formats, TheCommentsOfCooCountHoweverTheyAreWritten) {
  const std::string_view pairs = "0 0 1\n1 1 -2\n0 1 3\n";
  for (const std::string_view top :
       {"# vartype=SPIN\n", "# vartype=SPIN\r\n", "\xEF\xBB\xBF# vartype=SPIN\n",
        "\n# vartype=SPIN\n", "  # vartype=SPIN\n", "\t#vartype: spin\n", "# Vartype = Spin\n",
        "% VARTYPE SPIN\n", "// vartype=SPIN\n", "c a model\nc vartype=SPIN\n"}) {
    SCOPED_TRACE(top);
    const std::string text = std::string(top) + std::string(pairs);
    EXPECT_EQ(guessed(text, "x"), "coo");
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(text, "x.coo"));
    EXPECT_EQ(file.kind, ProblemKind::ising);
  }
  for (const std::string_view top : {"# vartypes=SPIN\n", "# the vartype=SPIN\n", "# vartype\n"}) {
    SCOPED_TRACE(top);
    const std::string text = std::string(top) + std::string(pairs);
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(text, "x.coo"));
    EXPECT_EQ(file.kind, ProblemKind::qubo);
  }
}

TEST(Formats, AByteOrderMarkHidesNoFirstLine) {
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_EQ(guessed(mark + std::string(kLayer), "x"), "qama");
  EXPECT_EQ(guessed(mark + "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 2\n", "x"),
            "mtx-maxcut");
  EXPECT_EQ(guessed(mark + "1,1\r\n1,-2\r\n", "x.csv"), "csv-qubo");
  EXPECT_EQ(guessed(mark + "3 1\n1 2 1\n", "x"), "maxcut");
}

TEST(Formats, EachDialectMeansWhatItsUsersMean) {
  const auto value = [](std::string_view text, std::string_view format, std::string_view bits,
                        bool symmetric = false) {
    const auto file = parse_problem(text, "file", {format, false, symmetric});
    EXPECT_TRUE(file.ok()) << test::describe(file);
    return file.ok() ? value_of_bits(*file, bits) : -999.0;
  };
  // h = 1, -2; J = 3.
  EXPECT_EQ(value("2 3\n1 1 1\n2 2 -2\n1 2 3\n", "ising", "11"), 2);
  EXPECT_EQ(value("2 3\n1 1 1\n2 2 -2\n1 2 3\n", "ising", "01"), -6);
  EXPECT_EQ(value("# vartype=SPIN\n# offset=0.5\n0 0 1\n1 1 -2\n0 1 3\n", "coo", "01"), -5.5);
  EXPECT_EQ(value("0 0 1\n1 1 -2\n0 1 3\noffset 10\n", "coo", "11"), 12);
  EXPECT_EQ(value("p qubo 0 2 2 1\n0 0 1\n1 1 -2\n0 1 3\n", "qbsolv", "11"), 2);
  EXPECT_EQ(value("p edge 3 2\ne 1 2\ne 2 3 4\n", "dimacs", "010"), 5);
  EXPECT_EQ(value("p edge 3 2\ne 1 2\ne 2 1\ne 2 3\ne 3 2\n", "dimacs", "010", true), 2);
  // - s^T M s with both of a pair, whatever the diagonal is.
  EXPECT_EQ(value("0,2\n3,0\n", "csv", "10"), 5);
  EXPECT_EQ(value("1;2\n3;1\n", "csv", "11"), -7);
  EXPECT_EQ(value("1,2\n3,-4\n", "csv-qubo", "11"), 2);
  EXPECT_EQ(value("1 2\n3 -4\n", "csv-qubo", "11"), 2);
  const std::string mtx = "%%MatrixMarket matrix ";
  EXPECT_EQ(value(mtx + "coordinate integer symmetric\n2 2 2\n1 1 1\n2 1 3\n", "mtx", "11"), 7);
  EXPECT_EQ(value(mtx + "coordinate real general\n2 2 2\n1 1 1\n2 1 3\n", "mtx", "11"), 4);
  EXPECT_EQ(value(mtx + "coordinate pattern symmetric\n3 3 2\n2 1\n3 2\n", "mtx-maxcut", "010"), 2);
  EXPECT_EQ(
      value(mtx + "coordinate real general\n3 3 3\n2 1 4\n1 2 4\n3 2 1\n", "mtx-maxcut", "010"), 5);
  EXPECT_EQ(value(mtx + "array real general\n2 2\n1\n2\n3\n4\n", "mtx", "11"), 10);
  EXPECT_EQ(value(mtx + "array real symmetric\n2 2\n1 2\n4\n", "mtx", "11"), 9);
}

TEST(Formats, SymmetricSaysHowDirectionsCombine) {
  const auto read = [](std::string_view text, std::string_view format) {
    return parse_problem(text, "file", {format, false, true});
  };
  // x^T Q x: once or twice given, a pair counts twice.
  for (const char* text : {"2 2\n1 1 -1\n1 2 3\n", "2 3\n1 1 -1\n1 2 3\n2 1 3\n"}) {
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, read(text, "qubo"));
    EXPECT_EQ(value_of_bits(file, "11"), 5);
    EXPECT_THAT(describe_convention(file), HasSubstr("counts twice"));
  }
  for (const char* text : {"2 1\n1 2 3\n", "2 2\n1 2 3\n2 1 3\n"}) {
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, read(text, "maxcut"));
    EXPECT_EQ(value_of_bits(file, "10"), 3);
    EXPECT_THAT(describe_convention(file), HasSubstr("counts once"));
  }
  EXPECT_EQ(test::describe(read("2 2\n1 2 3\n2 1 4\n", "qubo")),
            "PROBLEM_BAD_VALUE: problem 'file' is not symmetric: 1 2 is 3, 2 1 is 4");
  EXPECT_THAT(test::describe(read("0,1\n1,0\n", "csv")), HasSubstr("INVALID_ARGUMENT"));
  // Otherwise they add up.
  ASSERT_OK_AND_ASSIGN(const ProblemFile both,
                       parse_problem("2 2\n1 2 3\n2 1 4\n", "file", "qubo"));
  EXPECT_EQ(value_of_bits(both, "11"), 7);
}

TEST(Formats, AMaximumIsALargerValue) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("2 1\n1 2 3\n", "file", {"qubo", true, false}));
  EXPECT_TRUE(file.maximises());
  EXPECT_THAT(describe_convention(file), testing::StartsWith("maximises the sum of w x_i x_j"));
  EXPECT_THAT(test::describe(parse_problem(kLayer, "file", {"", true, false})),
              HasSubstr("INVALID_ARGUMENT"));
}

TEST(Formats, NumbersAreReadExactly) {
  const auto read = [](const std::string& number) {
    return parse_problem("2 1\n1 2 " + number + "\n", "file", "qubo");
  };
  for (const auto& [text, value] : {std::pair<const char*, double>{"010", 10},
                                    {"+1e18", 1e18},
                                    {"0.1", 0.1},
                                    {"-.5", -0.5},
                                    {"5e-324", 5e-324},
                                    {"0e-999", 0},
                                    {"1e-320", 1e-320}}) {
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, read(text));
    EXPECT_EQ(file.graph.edges[0].weight, value) << text;
  }
  for (const char* text : {"+-1", "-+1", "++1", "0x10", "1,5", "1e", "--1", "+"})
    EXPECT_THAT(test::describe(read(text)), HasSubstr("line 2: a weight is '")) << text;
  for (const char* text : {"1e-400", "-0.0001e-322", "1e-99999999999999999999"})
    EXPECT_THAT(test::describe(read(text)), HasSubstr("smaller than any double")) << text;
  for (const char* text : {"1e400", "inf", "nan", "1000e306", "1e99999999999999999999"})
    EXPECT_THAT(test::describe(read(text)), HasSubstr("expected a finite number")) << text;
}

TEST(Formats, APairsWeightsAreAddedWithoutRounding) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("2 4\n1 2 1e18\n2 1 1\n1 2 -1e18\n1 1 2\n", "file", "qubo"));
  EXPECT_EQ(value_of_bits(file, "11"), 3);
}

TEST(Formats, PackedFilesAreRead) {
  // gzip of "3 1\n1 2 -1\n", and the same cut off.
  const unsigned char bytes[] = {0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x33,
                                 0x56, 0x30, 0xE4, 0x32, 0x54, 0x30, 0x52, 0xD0, 0x35, 0xE4, 0x02,
                                 0x00, 0x6F, 0x83, 0xAE, 0x59, 0x0B, 0x00, 0x00, 0x00};
  const std::string_view packed(reinterpret_cast<const char*>(bytes), sizeof bytes);
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(packed, "x.qubo.gz"));
  EXPECT_EQ(describe_format(file), "qubo (from the name .qubo)");
  EXPECT_EQ(file.graph.edges.at(0).weight, -1);
  EXPECT_THAT(test::describe(parse_problem(packed.substr(0, sizeof bytes - 9), "x.mc.gz")),
              HasSubstr("end in the middle"));
  std::string damaged(packed);
  damaged[sizeof bytes - 6] ^= 1;
  EXPECT_THAT(test::describe(parse_problem(damaged, "x.mc.gz")), HasSubstr("are damaged"));
}

TEST(Formats, WhatIsPrintedIsReadAgain) {
  for (const auto& [text, format] : {std::pair{"3 2\n1 2 1073741824\n2 3 -5\n", "maxcut"},
                                     {"3 2\n1 1 -2.5\n1 3 0.1\n", "qubo"},
                                     {"3 1\noffset 0.25\n1 3 1e-09\n", "ising"}}) {
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(text, "file", format));
    EXPECT_EQ(to_text(file), text);
  }
}

TEST(Formats, ErrorsNameTheLine) {
  constexpr std::string_view qama = "qama", maxcut = "maxcut", qubo = "qubo";
  EXPECT_EQ(error_of("", qama),
            "PROBLEM_BAD_FORMAT: problem 'file', line 1: expected 'qama' and a name");
  EXPECT_EQ(error_of("qama x\n1 2\n", qama),
            "PROBLEM_BAD_FORMAT: problem 'file', line 2: number of columns is missing");
  EXPECT_THAT(error_of("qama x\n0 2 1 1 0\n", qama), HasSubstr("PROBLEM_BAD_FORMAT"));
  EXPECT_THAT(error_of("qama x\n65 2 1 1 0\n", qama), HasSubstr("PROBLEM_TOO_LARGE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 -1\n1\n0 0\n", qama), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 nan 0\n1\n0 0\n", qama), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1e999 0\n1\n0 0\n", qama), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 0\n2\n0 0\n", qama),
              HasSubstr("PROBLEM_BAD_VALUE: problem 'file', line 3: a column's sign"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 0\n1\n0 1,5\n", qama),
              HasSubstr("PROBLEM_BAD_FORMAT: problem 'file', line 4: a factor is '1,5'"));
  EXPECT_THAT(error_of("qama x\n1 2 2 1 0\n1 1\n0 0\n1 1 1\n", qama),
              HasSubstr("line 4: a factor is missing"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 0\n1\n0 0\n7\n", qama), HasSubstr("line 5: '7' follows"));
  EXPECT_THAT(error_of("3 2\n1 2 1\n", maxcut), HasSubstr("ends after 1 lines"));
  EXPECT_THAT(error_of("3 2\n1 2 1.000000\n", maxcut), HasSubstr("ends after 1 lines"));
  EXPECT_THAT(error_of("3 1\n1 2 1.000000\n1 3 1\n", maxcut), HasSubstr("line 3: '1' follows"));
  EXPECT_THAT(error_of("3 1\n1 4 1\n", maxcut), HasSubstr("PROBLEM_TOO_LARGE"));
  EXPECT_THAT(error_of("3 1\n0 1 1\n", maxcut),
              HasSubstr("PROBLEM_BAD_FORMAT: problem 'file', line 2: index i is 0"));
  EXPECT_THAT(error_of("3 1\n2 2 1\n", maxcut), HasSubstr("to itself"));
  EXPECT_THAT(error_of("4 3\n1 2\n2 3 1\n3 4 1 1\n", maxcut),
              HasSubstr("line 2: a weight is missing"));
  EXPECT_THAT(error_of("3 1\n1 2 1 1\n", maxcut), HasSubstr("follows the last number"));
  EXPECT_THAT(error_of("3 -1\n", maxcut), HasSubstr("PROBLEM_BAD_FORMAT"));
  EXPECT_THAT(error_of("3.0 1\n1 2 1\n", qubo), HasSubstr("expected a whole number"));
  EXPECT_THAT(error_of("99999999999999999999 1\n1 2 1\n", qubo), HasSubstr("PROBLEM_TOO_LARGE"));
  EXPECT_THAT(error_of("3 1\n1 2 inf\n", qubo), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("p qubo 0 3 1 1\n0 0 1\n", "qbsolv"), HasSubstr("0 couplings, expected 1"));
  EXPECT_THAT(error_of("p qubo 0 3 1 1\n0 0 1\n0 3 1\n", "qbsolv"), HasSubstr("index j is 3"));
  EXPECT_THAT(error_of("p edge 3 1\n1 2\n", "dimacs"), HasSubstr("expected an edge"));
  EXPECT_THAT(error_of("p edge 3 1\ne 1 2\ne 2 1\n", "dimacs"), HasSubstr("symmetric"));
  EXPECT_THAT(error_of("0,1\n1\n", "csv"), HasSubstr("line 2: 1 numbers, expected 2"));
  EXPECT_THAT(error_of("0,1,2\n1,,2\n1,2,3\n", "csv"), HasSubstr("number 2 is missing"));
  EXPECT_THAT(error_of("0,1\n", "csv"), HasSubstr("1 rows and 2 columns"));
  EXPECT_THAT(error_of("# vartype=TERNARY\n0 1 1\n", "coo"), HasSubstr("BINARY or SPIN"));
  EXPECT_THAT(error_of("%%MatrixMarket matrix coordinate complex general\n1 1 0\n", "mtx"),
              HasSubstr("line 1: expected '%%MatrixMarket"));
  EXPECT_THAT(error_of("%%MatrixMarket matrix array real general\n2 2\n1 2 3\n", "mtx"),
              HasSubstr("entry 2 of column 2 is missing"));
  EXPECT_THAT(error_of("%%MatrixMarket matrix coordinate real general\n2 3 0\n", "mtx"),
              HasSubstr("square"));
}

TEST(Formats, MemoryIsThatOfTheBytesThatAreThere) {
  EXPECT_THAT(error_of("qama x\n64 1048576 4096 1 0\n1 1\n", "qama"),
              HasSubstr("line 3: a column's sign is missing"));
  EXPECT_THAT(error_of("9 2147483647\n1 2 1\n", "maxcut"),
              HasSubstr("ends after 1 lines 'i j w', expected 2147483647"));
}

}  // namespace
}  // namespace qama::hal
