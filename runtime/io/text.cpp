#include "runtime/io/text.h"

#include <algorithm>

#include "runtime/base/quote.h"

namespace qama::io {
namespace {

/// Bytes of the UTF-8 sequence that begins `text`; 0 if there is no valid one (RFC 3629: no overlong
/// forms, no surrogates, nothing above U+10FFFF).
std::size_t sequence_bytes(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

bool is_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '\'';
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

Status check_utf8(std::string_view text, std::string_view name) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = text[at] == '\0' ? 0 : sequence_bytes(text.substr(at));
    if (length == 0) {
      return Error{
          ErrorCode::text_bad_encoding,
          "text " + quote(name) + ": byte " + std::to_string(at) + " is not valid UTF-8 text"};
    }
    at += length;
  }
  return {};
}

WordTokeniser::WordTokeniser(std::span<const std::string_view> vocabulary, bool lowercase)
    : lowercase_(lowercase) {
  ids_.reserve(vocabulary.size());
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    ids_.emplace(vocabulary[id], static_cast<std::int32_t>(id));
  }
}

template <typename Take>
void WordTokeniser::for_each_token(std::string_view text, Take take) const {
  constexpr std::string_view kBreak = "<br />";
  std::string word;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (text.substr(at, kBreak.size()) == kBreak) {
      at += kBreak.size();
    } else if (is_space(c)) {
      ++at;
    } else {
      word.clear();
      if (is_word(c)) {
        for (; at < text.size() && is_word(text[at]); ++at) {
          word += lowercase_ ? lower(text[at]) : text[at];
        }
      } else {
        word = c;
        ++at;
      }
      if (!take(std::string_view(word))) return;
    }
  }
}

std::size_t WordTokeniser::encode(std::string_view text, std::span<std::int32_t> out) const {
  std::fill(out.begin(), out.end(), kPadToken);
  std::size_t count = 0;
  for_each_token(text, [&](std::string_view word) {
    if (count == out.size()) return false;
    const auto found = ids_.find(word);
    out[count++] = found == ids_.end() ? kUnknownToken : found->second;
    return true;
  });
  if (count == 0 && !out.empty()) out[count++] = kUnknownToken;
  return count;
}

std::vector<std::string> WordTokeniser::split(std::string_view text) const {
  std::vector<std::string> out;
  for_each_token(text, [&out](std::string_view word) {
    out.emplace_back(word);
    return true;
  });
  return out;
}

}  // namespace qama::io
