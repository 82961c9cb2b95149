// What texts become before they are split, against the tables that the exporter keeps too.
#include "runtime/engine/fold.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "hal/base/utf8.h"
#include "runtime/engine/preprocess.h"
#include "tests/runtime/engine/models.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using nlohmann::json;

std::string folded(std::string_view text) {
  runtime::FoldedText pieces(text);
  std::string out;
  for (auto piece = pieces.next(); !piece.empty(); piece = pieces.next()) out += piece;
  return out;
}

std::string utf8(std::uint32_t code) {
  std::string out;
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else {
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    const std::uint32_t lead = more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0;
    out += static_cast<char>(lead | code >> (6 * more));
    for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F));
  }
  return out;
}

/// The lines of a table below tests/golden/text, without the first.
std::vector<std::vector<std::string>> table(const std::string& name) {
  std::ifstream file(source_path("tests/golden/text/" + name));
  EXPECT_TRUE(file) << name;
  std::vector<std::vector<std::string>> out;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    out.emplace_back();
    for (std::string field; std::getline(fields, field, '\t');) out.back().push_back(field);
    EXPECT_EQ(out.back().size(), 3U) << line;
  }
  EXPECT_GT(out.size(), 40U);
  return out;
}

TEST(Fold, EveryCharacterBecomesWhatTheTableSays) {
  std::map<std::uint32_t, std::string> becomes;
  for (const auto& row : table("fold.tsv")) {
    for (auto code = static_cast<std::uint32_t>(std::stoul(row[0], nullptr, 16));
         code <= std::stoul(row[1], nullptr, 16); ++code) {
      becomes[code] = row[2] == "own"     ? " " + utf8(code) + " "
                      : row[2] == "ascii" ? utf8(code - 0xFEE0)
                                          : json::parse(row[2]).get<std::string>();
    }
  }
  for (std::uint32_t code = 1; code <= 0x10FFFF; ++code) {
    if (code >= 0xD800 && code < 0xE000) continue;
    const std::string text = utf8(code);
    ASSERT_EQ(utf8_length(text), text.size());
    const auto found = becomes.find(code);
    ASSERT_EQ(folded("a" + text + "b"), "a" + (found == becomes.end() ? text : found->second) + "b")
        << std::hex << code;
  }
}

TEST(Fold, BytesThatAreNoTextStay) {
  EXPECT_EQ(folded("a\xFF\x80\xC2"), "a\xFF\x80\xC2");
  EXPECT_EQ(folded("\xE2\x80"), "\xE2\x80");
  EXPECT_EQ(folded(std::string("a\0b", 3)), std::string("a\0b", 3));
  EXPECT_EQ(folded(""), "");
}

TEST(Fold, WhatHasBecomeIsNotReadAgain) {
  EXPECT_EQ(folded("&lt;br&gt;"), "<br>");
  EXPECT_EQ(folded("&amp;quot;"), "&quot;");
}

/// Millions of beginnings of tags and references take no longer than as many letters.
TEST(Fold, TakesTimeInProportionToTheText) {
  for (const std::string part : {"<b ", "<!--", "&amp", "&#1234567", "<", "&"}) {
    std::string text;
    while (text.size() < 4'000'000) text += part;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(folded(text), text);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << part;
  }
}

TEST(Tokens, AreThoseOfTheTable) {
  for (const auto& row : table("tokens.tsv")) {
    SCOPED_TRACE(row[0] + " " + row[1]);
    // A byte is a character of the table.
    const auto bytes = [](const std::string& characters) {
      std::string out;
      for (std::size_t at = 0; at < characters.size(); ++at) {
        const auto c = static_cast<unsigned char>(characters[at]);
        out += static_cast<char>(
            c < 0x80 ? c : (c & 3) << 6 | (static_cast<unsigned char>(characters[++at]) & 0x3F));
      }
      return out;
    };
    std::vector<std::string> expected;
    for (const auto& word : json::parse(row[2])) expected.push_back(bytes(word));
    if (expected.empty()) expected.emplace_back();
    const MemoryModel held =
        model_with({"film"}, 100,
                   row[0] == "words" ? weights::Tokeniser::words : weights::Tokeniser::penn_words);
    ASSERT_OK_AND_ASSIGN(const auto tokeniser, runtime::Tokeniser::create(held.model));
    std::vector<std::string> words = tokeniser.words(bytes(json::parse(row[1])));
    for (std::string& word : words) {
      for (char& c : word) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    EXPECT_EQ(words, expected);
  }
}

}  // namespace
}  // namespace qama::test
