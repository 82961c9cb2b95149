#include <gtest/gtest.h>

#include <string>

#include "hal/platform/file.h"
#include "runtime/io/text.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

TEST(CheckUtf8, AcceptsEveryLengthOfSequence) {
  EXPECT_OK(check_utf8("", "text"));
  EXPECT_OK(check_utf8("plain\n\ttext", "text"));
  EXPECT_OK(check_utf8("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x99\x82 \xF4\x8F\xBF\xBF", "text"));
}

TEST(CheckUtf8, RefusesWhatRfc3629Forbids) {
  for (const std::string& bad :
       {std::string("caf\xE9"), std::string("\x80"), std::string("\xC0\xAF"),
        std::string("\xE0\x80\x80"), std::string("\xED\xA0\x80"), std::string("\xF0\x80\x80\x80"),
        std::string("\xF4\x90\x80\x80"), std::string("\xF8\x88\x80\x80\x80"),
        std::string("ends in \xE2\x82"), std::string("a\0b", 3)}) {
    EXPECT_ERROR(text_bad_encoding, check_utf8(bad, "text"));
  }
}

TEST(CheckUtf8, SaysWhere) {
  const Status status = check_utf8("abc\xFF", "review.txt");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "text 'review.txt': byte 3 is not valid UTF-8 text");
}

TEST(CheckUtf8, NamesUtf16) {
  for (const std::string& bad : {std::string("\xFF\xFE"
                                             "a\0",
                                             4),
                                 std::string("\xFE\xFF\0a", 4)}) {
    const Status status = check_utf8(bad, "review.txt");
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::text_bad_encoding);
    EXPECT_EQ(status.error().message.substr(0, 44), "text 'review.txt' is UTF-16, expected UTF-8:");
  }
}

TEST(ReadFile, LimitAndMissingFile) {
  const test::TempDir directory;
  test::put_file(directory.file("ten"), "0123456789");
  ASSERT_OK_AND_ASSIGN(const auto bytes,
                       platform::read_file(directory.file("ten"), 10, ErrorCode::image_too_large));
  EXPECT_EQ(bytes.size(), 10U);
  EXPECT_ERROR(image_too_large,
               platform::read_file(directory.file("ten"), 9, ErrorCode::image_too_large));
  EXPECT_ERROR(not_found,
               platform::read_file(directory.file("absent"), 9, ErrorCode::image_too_large));
  EXPECT_ERROR(io_error,
               platform::read_file(directory.path().string(), 9, ErrorCode::image_too_large));
}

}  // namespace
}  // namespace qama::io
