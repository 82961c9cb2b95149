// Tables as spreadsheets and scripts write them; every fault names its line and column.
#include "runtime/io/table_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/io/line_reader.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Row = std::vector<std::string>;

class TableTest : public testing::Test {
 protected:
  Result<TableReader> open(std::string_view text, const std::string& name = "t.csv") {
    test::put_file(directory_.file(name), text);
    return TableReader::open(directory_.file(name));
  }
  /// All rows, or what went wrong.
  Result<std::vector<Row>> rows(std::string_view text, const std::string& name = "t.csv") {
    QAMA_ASSIGN_OR_RETURN(TableReader table, open(text, name));
    std::vector<Row> out;
    Row row;
    while (true) {
      QAMA_ASSIGN_OR_RETURN(const bool any, table.next(row));
      if (!any) return out;
      out.push_back(row);
    }
  }
  test::TempDir directory_;
};

TEST_F(TableTest, FieldsAndQuotes) {
  ASSERT_OK_AND_ASSIGN(const auto found,
                       rows("a,b\n1,2\r\n\"x, \"\"y\"\"\nz\",\n\"\",\" q \"\r\n\n3,5\" tall"));
  EXPECT_THAT(found, ElementsAre(Row{"1", "2"}, Row{"x, \"y\"\nz", ""}, Row{"", " q "},
                                 Row{"3", "5\" tall"}));
}

TEST_F(TableTest, TabsMarksAndGzip) {
  ASSERT_OK_AND_ASSIGN(const auto tabs, rows("\xEF\xBB\xBF"
                                             "a\tb\n1, 2\t\"3\t4\"\n",
                                             "t.tsv"));
  EXPECT_THAT(tabs, ElementsAre(Row{"1, 2", "3\t4"}));
  ASSERT_OK_AND_ASSIGN(const auto table, open("\xEF\xBB\xBF\"text\",label\n"));
  EXPECT_THAT(table.columns(), ElementsAre("text", "label"));
  ASSERT_OK_AND_ASSIGN(auto again, open("\xEF\xBB\xBF"
                                        "text,label\n\xEF\xBB\xBFx,y\n"));
  Row first;
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(const bool more, again.next(first));
    EXPECT_TRUE(more);
    EXPECT_THAT(first, ElementsAre("\xEF\xBB\xBFx", "y"));
    ASSERT_OK(again.rewind());
  }
  const std::string_view text = "a,b\n1,2\n";
  test::put_file(directory_.file("t.csv.gz"), test::gzipped(test::Bytes(text.begin(), text.end())));
  ASSERT_OK_AND_ASSIGN(auto packed, TableReader::open(directory_.file("t.csv.gz")));
  Row row;
  ASSERT_OK_AND_ASSIGN(const bool any, packed.next(row));
  EXPECT_TRUE(any);
  EXPECT_THAT(row, ElementsAre("1", "2"));
}

TEST_F(TableTest, ABlankFieldOfTheOnlyColumnIsARow) {
  ASSERT_OK_AND_ASSIGN(const auto found, rows("a\nx\n\ny\n"));
  EXPECT_THAT(found, ElementsAre(Row{"x"}, Row{""}, Row{"y"}));
}

TEST_F(TableTest, LinesAreThoseWhereARowBegins) {
  ASSERT_OK_AND_ASSIGN(auto table, open("a,b\n\"x\ny\",2\n3,4\n"));
  Row row;
  ASSERT_OK(table.next(row));
  EXPECT_EQ(table.line(), 2);
  ASSERT_OK(table.next(row));
  EXPECT_EQ(table.line(), 4);
  ASSERT_OK(table.rewind());
  ASSERT_OK(table.next(row));
  EXPECT_EQ(table.line(), 2);
  EXPECT_THAT(row, ElementsAre("x\ny", "2"));
}

TEST_F(TableTest, FaultsNameLineAndColumn) {
  const auto sentence = [&](std::string_view text) {
    const auto found = rows(text);
    EXPECT_ERROR(dataset_bad_format, found);
    return found.ok() ? "" : found.error().message;
  };
  EXPECT_THAT(sentence("a,b\n1,2\n3\n"), HasSubstr("line 3: 1 fields, expected 2"));
  EXPECT_THAT(sentence("a,b\n1,2,3\n"), HasSubstr("line 2: 3 fields, expected 2"));
  EXPECT_THAT(sentence("a,b\n1,\"2\n"), HasSubstr("line 2, column 'b': its quotes are never"));
  EXPECT_THAT(sentence("a,b\n\"1\"2,3\n"), HasSubstr("line 2, column 'a': something follows"));
  EXPECT_THAT(sentence("a,b\n\"1\"\r2,3\n"), HasSubstr("line 2, column 'a': something follows"));
  EXPECT_THAT(sentence("a,b\n1,2\n3,caf\xE9\n"), HasSubstr("line 3, column 'b': text '"));
  EXPECT_THAT(sentence("\xFF\xFE"
                       "a\0,\0b\0"),
              HasSubstr("is UTF-16"));
  EXPECT_ERROR(dataset_empty, open(""));
  EXPECT_ERROR(not_found, TableReader::open(directory_.file("absent.csv")));
}

TEST_F(TableTest, ColumnsByName) {
  ASSERT_OK_AND_ASSIGN(const auto table, open("file,label\n"));
  ASSERT_OK_AND_ASSIGN(const std::size_t label, table.column("label"));
  EXPECT_EQ(label, 1U);
  const auto none = table.column("text");
  EXPECT_ERROR(dataset_bad_format, none);
  EXPECT_THAT(none.error().message,
              HasSubstr("no column has the name 'text'; there are 'file', 'label'"));
  EXPECT_FALSE(table.find("text"));
  ASSERT_OK_AND_ASSIGN(const auto twice, open("file,label,label\n"));
  EXPECT_EQ(*twice.column("file"), 0U);
  const auto which = twice.column("label");
  EXPECT_ERROR(dataset_bad_format, which);
  EXPECT_THAT(which.error().message,
              HasSubstr("line 1: 2 columns have the name 'label', expected one"));
}

TEST(TableName, CsvAndTsvPerhapsPacked) {
  EXPECT_TRUE(is_table_name("a/b.csv"));
  EXPECT_TRUE(is_table_name("b.tsv.gz"));
  EXPECT_FALSE(is_table_name("b.txt"));
  EXPECT_FALSE(is_table_name("csv"));
}

TEST(Lines, AByteOrderMarkIsNoPartOfTheFirst) {
  const test::TempDir directory;
  test::put_file(directory.file("l"), "\xEF\xBB\xBFone\r\n\n\xEF\xBB\xBFthree");
  ASSERT_OK_AND_ASSIGN(ByteStream stream, ByteStream::open(directory.file("l")));
  LineReader lines(std::move(stream));
  std::string line;
  for (const char* expected : {"one", "", "\xEF\xBB\xBFthree"}) {
    ASSERT_OK_AND_ASSIGN(const bool any, lines.next(line));
    EXPECT_TRUE(any);
    EXPECT_EQ(line, expected);
  }
  ASSERT_OK_AND_ASSIGN(const bool more, lines.next(line));
  EXPECT_FALSE(more);
  EXPECT_EQ(lines.number(), 3);
}

}  // namespace
}  // namespace qama::io
