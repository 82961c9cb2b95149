// The tokeniser "words", against the rules that the exporter keeps too.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/engine/preprocess.h"
#include "tests/runtime/engine/models.h"

namespace qama::test {
namespace {

/// A text model whose vocabulary is `words` behind <pad> and <unk>.
MemoryModel model_with(const std::vector<std::string>& words, std::int32_t max_tokens,
                       weights::Tokeniser tokeniser = weights::Tokeniser::words) {
  weights::Architecture a = text_architecture(weights::AttentionKind::softmax);
  a.vocabulary = static_cast<std::int32_t>(words.size()) + 2;
  a.max_tokens = max_tokens;
  weights::Preprocess preprocess;
  preprocess.kind = a.kind;
  preprocess.tokeniser = tokeniser;
  MemoryModel out;
  auto writer = weights::model_writer(a, preprocess, {"0", "1", "2"}, "test");
  EXPECT_OK(writer);
  std::string text = "<pad>\n<unk>";
  for (const std::string& word : words) text += "\n" + word;
  for (const auto& spec : weights::expected_tensors(a)) {
    if (spec.dtype == weights::Dtype::u8) {
      EXPECT_OK(writer->add(spec.name, spec.dtype, {static_cast<std::int64_t>(text.size())},
                            std::as_bytes(std::span(text))));
      continue;
    }
    std::size_t count = 1;
    for (const auto size : spec.shape) count *= static_cast<std::size_t>(size);
    EXPECT_OK(writer->add_f32(spec.name, spec.shape, random_floats(count, 1, 0.1)));
  }
  auto bytes = writer->serialise();
  EXPECT_OK(bytes);
  out.bytes = std::move(*bytes);
  auto model = runtime::Model::from_memory(out.bytes);
  EXPECT_OK(model);
  out.model = std::move(*model);
  return out;
}

class Words : public testing::Test {
 protected:
  std::vector<std::int32_t> encode(const std::string& text) {
    auto tokeniser = runtime::Tokeniser::create(held.model);
    EXPECT_OK(tokeniser);
    std::vector<std::int32_t> ids(6, 99);
    const auto length = tokeniser->encode(text, ids);
    EXPECT_OK(length);
    for (std::size_t i = static_cast<std::size_t>(*length); i < ids.size(); ++i)
      EXPECT_EQ(ids[i], 0);
    ids.resize(static_cast<std::size_t>(*length));
    return ids;
  }
  MemoryModel held = model_with({"the", "film", "don't", "!", "\xC3\xA9t\xC3\xA9", "4", "<"}, 6);
};

using Ids = std::vector<std::int32_t>;

TEST_F(Words, RunsOfLettersDigitsAndApostrophes) {
  EXPECT_EQ(encode("the film"), (Ids{2, 3}));
  EXPECT_EQ(encode("The FILM\n\tdon't"), (Ids{2, 3, 4}));
  EXPECT_EQ(encode("thefilm"), (Ids{1}));
  EXPECT_EQ(encode("the4"), (Ids{1}));
}
TEST_F(Words, OtherCharactersAreTokens) {
  EXPECT_EQ(encode("film!!the"), (Ids{3, 5, 5, 2}));
  EXPECT_EQ(encode("film?"), (Ids{3, 1}));
}
TEST_F(Words, LineBreaksAreSpaces) {
  EXPECT_EQ(encode("the<br />film<BR />4"), (Ids{2, 3, 7}));
  EXPECT_EQ(encode("<b"), (Ids{8, 1}));
  EXPECT_EQ(encode("<br /"), (Ids{8, 1, 1}));
}
TEST_F(Words, BytesOfOtherScriptsBelongToWords) {
  EXPECT_EQ(encode("\xC3\xA9t\xC3\xA9 the"), (Ids{6, 2}));
  EXPECT_EQ(encode("the\xFF"), (Ids{1}));  // no valid UTF-8, still no crash
}
TEST_F(Words, SpecialWordsOfTheVocabularyAreNotReachable) {
  EXPECT_EQ(encode("<pad>"), (Ids{8, 1, 1}));
}
TEST_F(Words, EmptyTextIsOneUnknownWord) {
  EXPECT_EQ(encode(""), (Ids{1}));
  EXPECT_EQ(encode(" \n "), (Ids{1}));
}
TEST_F(Words, TheFirstTokensAreKept) {
  EXPECT_EQ(encode("the the the film film film 4 4"), (Ids{2, 2, 2, 3, 3, 3}));
  EXPECT_EQ(encode(std::string(100000, 'x')), (Ids{1}));
}

class PennWords : public Words {
 protected:
  PennWords() {
    held =
        model_with({"do", "n't", "film", "'s", "'ll", "i", "'"}, 6, weights::Tokeniser::penn_words);
  }
};

TEST_F(PennWords, ContractionsAreTokens) {
  EXPECT_EQ(encode("don't film"), (Ids{2, 3, 4}));
  EXPECT_EQ(encode("do n't film"), (Ids{2, 3, 4}));  // as such models' training texts are written
  EXPECT_EQ(encode("I'LL DON'T"), (Ids{7, 6, 2, 3}));
  EXPECT_EQ(encode("film's"), (Ids{4, 5}));
  EXPECT_EQ(encode("i'v film'"), (Ids{1, 1}));  // no such contraction
}
TEST_F(PennWords, AContractionAloneStaysWhole) {
  EXPECT_EQ(encode("n't 's '"), (Ids{3, 5, 8}));
  EXPECT_EQ(encode("don't's"), (Ids{1, 5}));  // one is cut off, not more
}
TEST_F(PennWords, TheFirstTokensAreKept) {
  EXPECT_EQ(encode("film film film film film don't"), (Ids{4, 4, 4, 4, 4, 2}));
}

TEST_F(Words, Misuse) {
  auto tokeniser = runtime::Tokeniser::create(held.model);
  ASSERT_OK(tokeniser);
  std::vector<std::int32_t> ids(5);
  EXPECT_ERROR(invalid_argument, tokeniser->encode("the", ids));
  EXPECT_ERROR(model_wrong_kind,
               runtime::Tokeniser::create(
                   make_model(mnist_architecture(weights::AttentionKind::softmax)).model));
}

}  // namespace
}  // namespace qama::test
