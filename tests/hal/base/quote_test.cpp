#include "hal/base/quote.h"

#include <gtest/gtest.h>

#include <string>

namespace qama {
namespace {

TEST(Quote, NamesInSentencesAreHarmless) {
  EXPECT_EQ(quote("a.b"), "'a.b'");
  EXPECT_EQ(quote(""), "''");
  EXPECT_EQ(quote("\x1b[2J\n\xff"), "'\\x1b[2J\\x0a\\xff'");
  EXPECT_EQ(quote(std::string(200, 'x')), "'" + std::string(160, 'x') + "...'");
}

TEST(Quote, KeepsWholeCharactersOnly) {
  EXPECT_EQ(quote("gr\xc3\xbc\xc3\x9f"), "'gr\xc3\xbc\xc3\x9f'");
  EXPECT_EQ(quote("\xc3"), "'\\xc3'");                         // cut
  EXPECT_EQ(quote("\xc0\xaf"), "'\\xc0\\xaf'");                // overlong
  EXPECT_EQ(quote("\xed\xa0\x80"), "'\\xed\\xa0\\x80'");       // a surrogate
  EXPECT_EQ(quote("\xf0\x9f\x98\x80"), "'\xf0\x9f\x98\x80'");  // four bytes
  // 159 letters and a character of two bytes that begins inside the limit: it is kept whole.
  const std::string text = std::string(159, 'x') + "\xc3\xbc";
  EXPECT_EQ(quote(text), "'" + text + "'");
}

}  // namespace
}  // namespace qama
