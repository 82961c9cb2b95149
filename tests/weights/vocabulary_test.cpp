// Vocabulary: words to token ids. What it refuses is in bad_files.cpp.
#include "weights/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace {

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

}  // namespace
