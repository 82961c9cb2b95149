// Vocabulary: words to token ids, and the table of characters before pieces of words. What the
// vocabulary refuses is in bad_files.cpp.
#include "weights/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/test_support.h"
#include "weights/normaliser.h"

namespace {

using qama::weights::Normaliser;
using qama::weights::Vocabulary;

TEST(Vocabulary, FindsEveryWordAndNoOther) {
  constexpr std::int32_t kWords = 5000;
  std::string text = "<pad>\n<unk>\n";
  for (std::int32_t id = 2; id < kWords; ++id) text += "w" + std::to_string(id) + '\n';
  const auto read = Vocabulary::read(text, kWords);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->find("<pad>"), 0);
  EXPECT_EQ(read->find("<unk>"), 1);
  for (std::int32_t id = 2; id < kWords; ++id) {
    ASSERT_EQ(read->find("w" + std::to_string(id)), id);
    ASSERT_EQ(read->words()[static_cast<std::size_t>(id)], "w" + std::to_string(id));
    ASSERT_EQ(read->find("x" + std::to_string(id)), -1);
  }
  EXPECT_EQ(read->find(""), -1);
  EXPECT_EQ(Vocabulary().find("w2"), -1);
}

TEST(Vocabulary, TheLastNewlineMayBeMissing) {
  const auto read = Vocabulary::read("<pad>\n<unk>\na", 3);
  ASSERT_TRUE(read.ok());
  EXPECT_THAT(read->words(), testing::ElementsAre("<pad>", "<unk>", "a"));
}

TEST(Normaliser, FindsTheLongestKey) {
  const std::string text = "'\t '\n''\t\"\nA\ta\n\u00e9\te\n\u6f22\t\n";
  const auto read = Normaliser::read(text);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->size(), 5U);
  const auto expect = [&read](std::string_view of, std::size_t bytes, std::string_view value) {
    const auto found = read->find(of);
    EXPECT_EQ(found.bytes, bytes) << of;
    EXPECT_EQ(found.value, value) << of;
  };
  expect("''x", 2, "\"");
  expect("'x'", 1, " '");
  expect("'", 1, " '");
  expect("A", 1, "a");
  expect("a", 0, "");
  expect("\u00e9t\u00e9", 2, "e");
  expect("\u6f22\u5b57", 3, "");
  expect("\xc3", 0, "");  // cut off
  EXPECT_EQ(Normaliser().find("A").bytes, 0U);
}

TEST(Normaliser, RefusesEveryOtherTable) {
  const std::string long_value(Normaliser::kMaxValue + 1, 'x');
  for (const auto& [text, mentions] : std::initializer_list<std::pair<std::string, const char*>>{
           {"A", "line 1: not one tab"},
           {"A\ta\nB\tb\tc", "line 2: not one tab"},
           {"\ta", "a key of 0 bytes"},
           {"ABCDE\ta", "a key of 5 bytes"},
           {"\xff\ta", "a key of 1 bytes"},
           {"A\t\xc3", "a value of 1 bytes"},
           {"A\t" + long_value, "a value of 97 bytes"},
           {"B\tb\nA\ta", "line 2: a key that is not behind the one before"},
           {"A\tb\nA\ta", "keys that rise"},
           {"A\ta\n\nB\tb", "line 2: not one tab"}}) {
    const auto read = Normaliser::read(text);
    EXPECT_ERROR(model_bad_vocabulary, read);
    EXPECT_NE(qama::test::describe(read).find(mentions), std::string::npos)
        << qama::test::describe(read);
  }
}

}  // namespace
