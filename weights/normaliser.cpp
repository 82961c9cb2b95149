#include "weights/normaliser.h"

#include <algorithm>
#include <array>
#include <string>

#include "hal/base/utf8.h"

namespace qama::weights {
namespace {

/// The number of characters, 0 if a byte is no UTF-8.
std::size_t characters_of(std::string_view text) noexcept {
  std::size_t count = 0;
  for (; !text.empty(); ++count) {
    const std::size_t bytes = utf8_length(text);
    if (bytes == 0) return 0;
    text.remove_prefix(bytes);
  }
  return count;
}

}  // namespace

Result<Normaliser> Normaliser::read(std::string_view text) {
  Normaliser out;
  const auto bad = [&out](const std::string& what, const std::string& expected) {
    return Error{ErrorCode::model_bad_vocabulary, "normaliser: line " +
                                                      std::to_string(out.lines_.size() + 1) + ": " +
                                                      what + ", expected " + expected};
  };
  if (text.ends_with('\n')) text.remove_suffix(1);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos || line.find('\t', tab + 1) != std::string_view::npos) {
      return bad("not one tab", "a key, a tab and a value");
    }
    const std::string_view key = line.substr(0, tab);
    const std::string_view value = line.substr(tab + 1);
    const std::size_t characters = characters_of(key);
    if (characters < 1 || characters > kMaxKey) {
      return bad("a key of " + std::to_string(key.size()) + " bytes",
                 "1 to " + std::to_string(kMaxKey) + " characters of UTF-8");
    }
    if (value.size() > kMaxValue || (!value.empty() && characters_of(value) == 0)) {
      return bad("a value of " + std::to_string(value.size()) + " bytes",
                 "at most " + std::to_string(kMaxValue) + " of UTF-8");
    }
    if (!out.lines_.empty() && out.lines_.back().first >= key) {
      return bad("a key that is not behind the one before", "keys that rise");
    }
    out.longest_ = std::max(out.longest_, characters);
    out.lines_.emplace_back(key, value);
  }
  return out;
}

Normaliser::Found Normaliser::find(std::string_view text) const noexcept {
  std::array<std::size_t, kMaxKey> ends{};  // of the first characters
  std::size_t count = 0;
  for (std::size_t at = 0; count < longest_ && at < text.size();) {
    const std::size_t bytes = utf8_length(text.substr(at));
    if (bytes == 0) break;
    ends[count++] = at += bytes;
  }
  for (; count > 0; --count) {
    const std::string_view key = text.substr(0, ends[count - 1]);
    const auto found = std::lower_bound(
        lines_.begin(), lines_.end(), key,
        [](const auto& line, std::string_view wanted) { return line.first < wanted; });
    if (found != lines_.end() && found->first == key) return {key.size(), found->second};
  }
  return {};
}

}  // namespace qama::weights
