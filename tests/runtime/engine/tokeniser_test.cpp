// The tokeniser "words", against the rules that the exporter keeps too.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/engine/preprocess.h"
#include "tests/runtime/engine/models.h"

namespace qama::test {
namespace {

class Words : public testing::Test {
 protected:
  std::vector<std::int32_t> encode(const std::string& text) {
    auto tokeniser = runtime::Tokeniser::create(held.model);
    EXPECT_OK(tokeniser);
    std::vector<std::int32_t> ids(6, 99);
    const auto encoded = tokeniser->encode(text, ids);
    EXPECT_OK(encoded);
    const auto length = static_cast<std::size_t>(encoded->length);
    for (std::size_t i = length; i < ids.size(); ++i) EXPECT_EQ(ids[i], 0);
    ids.resize(length);
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
  EXPECT_EQ(encode("the<p>film</p>4"), (Ids{2, 3, 7}));
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

TEST_F(Words, EveryBlankAndQuoteCountsAsTheAsciiOne) {
  EXPECT_EQ(encode("\xEF\xBB\xBFthe film"), (Ids{2, 3}));  // byte order mark
  EXPECT_EQ(encode("the\xC2\xA0"
                   "film"),
            (Ids{2, 3}));  // no-break space
  EXPECT_EQ(encode("the\xE2\x80\x8B"
                   "film"),
            (Ids{2, 3}));                                      // zero-width space
  EXPECT_EQ(encode("don\xE2\x80\x99t!"), (Ids{4, 5}));         // typographic apostrophe
  EXPECT_EQ(encode("film\xF0\x9F\x98\x8D!"), (Ids{3, 1, 5}));  // an emoji is its own word
}
TEST_F(Words, SaysWhatTheModelGets) {
  auto tokeniser = runtime::Tokeniser::create(held.model);
  ASSERT_OK(tokeniser);
  std::vector<std::int32_t> ids(6);
  const auto of = [&](const std::string& text) {
    const auto out = tokeniser->encode(text, ids);
    EXPECT_OK(out);
    return *out;
  };
  runtime::Encoded all = of("the film of the film is the film");
  EXPECT_EQ(all.length, 6);
  EXPECT_EQ(all.words, 8);
  EXPECT_EQ(all.unknown, 2);  // "of" and "is"
  EXPECT_TRUE(all.truncated());
  EXPECT_FALSE(all.nothing_known());
  all = of("the film is the film is");
  EXPECT_EQ(all.words, 6);
  EXPECT_FALSE(all.truncated());
  all = of("\xF0\x9F\x98\x8D so so");
  EXPECT_EQ(all.unknown, 3);
  EXPECT_TRUE(all.nothing_known());
  all = of("\xC2\xA0 <p>");
  EXPECT_EQ(all.length, 1);
  EXPECT_EQ(all.words, 0);
  EXPECT_EQ(all.unknown, 0);
  EXPECT_TRUE(all.nothing_known());
}
TEST_F(Words, TheWordsAreThoseOfTheIds) {
  auto tokeniser = runtime::Tokeniser::create(held.model);
  ASSERT_OK(tokeniser);
  using Texts = std::vector<std::string>;
  EXPECT_EQ(tokeniser->words("The \xE2\x80\x9C"
                             "film\xE2\x80\x9D!"),
            (Texts{"The", "\"", "film", "\"", "!"}));
  EXPECT_EQ(tokeniser->words("a b c d e f g"), (Texts{"a", "b", "c", "d", "e", "f"}));
  EXPECT_EQ(tokeniser->words(" "), (Texts{""}));
}

class BothEnds : public Words {
 protected:
  BothEnds() {
    held = model_with({"a", "b", "c", "d", "e", "f", "g", "h", "i"}, 5, weights::Tokeniser::words,
                      weights::Truncate::ends);
  }
};

TEST_F(BothEnds, OfALongTextAreKept) {
  auto tokeniser = runtime::Tokeniser::create(held.model);
  ASSERT_OK(tokeniser);
  const std::string text = "a b c d e f g h i";
  for (std::size_t words = 1; words <= 9; ++words) {
    const std::string part = text.substr(0, 2 * words - 1);
    std::vector<std::int32_t> ids(5, 99);
    ASSERT_OK_AND_ASSIGN(const auto encoded, tokeniser->encode(part, ids));
    EXPECT_EQ(encoded.words, words);
    EXPECT_EQ(encoded.truncated(), words > 5);
    Ids expected;
    std::vector<std::string> kept;
    for (std::size_t i = 0; i < words; ++i) {
      if (words > 5 && i >= 2 && i + 3 < words) continue;
      expected.push_back(static_cast<std::int32_t>(i + 2));
      kept.push_back(text.substr(2 * i, 1));
    }
    expected.resize(5);
    EXPECT_EQ(ids, expected) << part;
    EXPECT_EQ(tokeniser->words(part), kept) << part;
  }
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

/// A text model of pieces: `pieces` behind the four special ones, with the scores of a unigram
/// model.
MemoryModel model_of_pieces(weights::Pieces kind, const std::vector<std::string>& pieces,
                            const std::string& table, std::int32_t max_tokens,
                            std::vector<float> scores = {},
                            weights::Truncate truncate = weights::Truncate::head) {
  weights::Architecture a = text_architecture(weights::AttentionKind::softmax);
  a.pieces = kind;
  a.vocabulary = static_cast<std::int32_t>(pieces.size()) + weights::kSpecialPieces;
  a.max_tokens = max_tokens;
  weights::Preprocess preprocess;
  preprocess.kind = a.kind;
  preprocess.lowercase = false;  // only the table decides
  preprocess.truncate = truncate;
  preprocess.tokeniser = kind == weights::Pieces::wordpiece ? weights::Tokeniser::wordpiece
                                                            : weights::Tokeniser::unigram;
  std::string vocabulary = "<pad>\n<unk>\n[CLS]\n[SEP]";
  for (const std::string& piece : pieces) vocabulary += "\n" + piece;
  scores.insert(scores.begin(), weights::kSpecialPieces, -1e30F);
  auto writer = weights::model_writer(a, preprocess, {"0", "1", "2"}, "test");
  EXPECT_OK(writer);
  for (const auto& spec : weights::expected_tensors(a)) {
    const std::string& text = spec.name == "vocabulary" ? vocabulary : table;
    std::size_t count = 1;
    for (const auto size : spec.shape) count *= static_cast<std::size_t>(size);
    if (spec.dtype == weights::Dtype::u8) {
      EXPECT_OK(writer->add(spec.name, spec.dtype, {static_cast<std::int64_t>(text.size())},
                            std::as_bytes(std::span(text))));
    } else if (spec.name == "vocabulary.scores") {
      EXPECT_OK(writer->add_f32(spec.name, spec.shape, scores));
    } else {
      EXPECT_OK(writer->add_f32(spec.name, spec.shape, random_floats(count, 1, 0.1)));
    }
  }
  MemoryModel out;
  auto bytes = writer->serialise();
  EXPECT_OK(bytes);
  out.bytes = std::move(*bytes);
  auto model = runtime::Model::from_memory(out.bytes);
  EXPECT_OK(model);
  if (model.ok()) out.model = std::move(*model);
  return out;
}

Ids ids_of(const MemoryModel& held, std::string_view text) {
  auto tokeniser = runtime::Tokeniser::create(held.model);
  EXPECT_OK(tokeniser);
  Ids ids(static_cast<std::size_t>(held.model->architecture().max_tokens));
  const auto encoded = tokeniser->encode(text, ids);
  EXPECT_OK(encoded);
  EXPECT_EQ(tokeniser->words(text).size(), static_cast<std::size_t>(encoded->length));
  EXPECT_EQ(encoded->nothing_known(),
            std::all_of(ids.begin() + 1, ids.begin() + encoded->length - 1,
                        [](std::int32_t id) { return id == runtime::kUnknownWord; }));
  ids.resize(static_cast<std::size_t>(encoded->length));
  return ids;
}

TEST(WordPieces, LongestFirst) {
  const std::vector<std::string> pieces = {"un", "##aff", "##able", "##a", "a", ",", "the", "##f"};
  const MemoryModel held = model_of_pieces(weights::Pieces::wordpiece, pieces, ",\t , \nT\tt\n", 8);
  EXPECT_EQ(ids_of(held, "unaffable"), (Ids{2, 4, 5, 6, 3}));
  EXPECT_EQ(ids_of(held, "The a,the"), (Ids{2, 10, 8, 9, 10, 3}));
  EXPECT_EQ(ids_of(held, "unafx unaf"), (Ids{2, 1, 4, 7, 11, 3}));  // one <unk> for the whole word
  EXPECT_EQ(ids_of(held, "a\u6f22a"), (Ids{2, 8, 1, 8, 3}));        // an ideograph stands alone
  EXPECT_EQ(ids_of(held,
                   "a\xff"
                   "a"),
            (Ids{2, 8, 7, 3}));
  EXPECT_EQ(ids_of(held, ""), (Ids{2, 3}));
  EXPECT_EQ(ids_of(held, " \t\n\r "), (Ids{2, 3}));
  EXPECT_EQ(ids_of(held, "<pad> [CLS] <unk>"), (Ids{2, 1, 1, 1, 3}));
  EXPECT_EQ(ids_of(held, "a a a a a a a a"), (Ids{2, 8, 8, 8, 8, 8, 8, 3}));
  std::string most = "a";
  for (int i = 0; i < 99; ++i) most += "a";
  EXPECT_EQ(ids_of(held, most).size(), 8U);
  EXPECT_EQ(ids_of(held, most + "a"), (Ids{2, 1, 3}));
  EXPECT_EQ(ids_of(held, std::string(5000, 'a') + " a"), (Ids{2, 1, 8, 3}));
}

TEST(WordPieces, BothEndsOfALongText) {
  const MemoryModel held = model_of_pieces(weights::Pieces::wordpiece, {"a", "b", "c", "d", "e"},
                                           "A\ta\n", 5, {}, weights::Truncate::ends);
  EXPECT_EQ(ids_of(held, "a b c d e"), (Ids{2, 4, 7, 8, 3}));
  EXPECT_EQ(ids_of(held, "a b c"), (Ids{2, 4, 5, 6, 3}));
}

TEST(Unigrams, TheLargestSumOfScores) {
  const std::string blank = "\u2581";
  const MemoryModel held =
      model_of_pieces(weights::Pieces::unigram, {blank, "a", "b", "ab", blank + "a", "abab", "c"},
                      "X\t \n", 12, {-1.0F, -2.0F, -2.0F, -2.5F, -2.0F, -9.0F, -1e30F});
  EXPECT_EQ(ids_of(held, "ab"), (Ids{2, 4, 7, 3}));  // -3.5; with "_a" and "b" -4
  EXPECT_EQ(ids_of(held, "abab"), (Ids{2, 4, 7, 7, 3}));
  EXPECT_EQ(ids_of(held, "aXa  a"), (Ids{2, 8, 8, 8, 3}));
  EXPECT_EQ(ids_of(held, "c"), (Ids{2, 4, 1, 3}));  // a piece that no text has
  EXPECT_EQ(ids_of(held, "ccac"), (Ids{2, 4, 1, 5, 1, 3}));
  EXPECT_EQ(ids_of(held, "\u6f22\u5b57"), (Ids{2, 4, 1, 3}));
  EXPECT_EQ(ids_of(held, ""), (Ids{2, 3}));
  EXPECT_EQ(ids_of(held, std::string(5000, 'a')).size(), 12U);
  EXPECT_EQ(ids_of(held, std::string(1021, 'c') + "ab"), (Ids{2, 4, 1, 7, 3}));  // cut at 1024
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
